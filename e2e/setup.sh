#!/usr/bin/env bash
# Installs and builds what the local cluster needs and this machine lacks. Says first what it is about to do. Takes
# seconds when all is there. Removes nothing, replaces no package that is installed, and starts no service.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/temporal-fleet
musl=x86_64-unknown-linux-musl

# program:package, for each program that must be found; an installed one is taken as it is.
wanted=(containerd:containerd ctr:containerd runc:runc iptables:iptables conntrack:conntrack prometheus:prometheus
  ip:iproute2 mount:mount setsid:util-linux musl-gcc:musl-tools
  debootstrap:debootstrap python3:python3 pip3:python3-pip)
export PATH=$PATH:/usr/sbin:/sbin:/usr/local/go/bin
packages=()
add() { case " ${packages[*]-} " in *" $1 "*) ;; *) packages+=("$1") ;; esac }
for pair in "${wanted[@]}"; do
  command -v "${pair%%:*}" > /dev/null || add "${pair#*:}"
done
# Bridged packets must pass iptables; a kernel with the code built in needs no module.
[ -d /proc/sys/net/bridge ] || command -v modprobe > /dev/null || add kmod
[ -x /usr/lib/cni/bridge ] && [ -x /usr/lib/cni/host-local ] || add containernetworking-plugins
# Debian's own keys, which other distributions do not have: they sign what the image of the Python example is made of.
[ -s /usr/share/keyrings/debian-archive-keyring.gpg ] || add debian-archive-keyring
[ -s /etc/ssl/certs/ca-certificates.crt ] || add ca-certificates

if [ ${#packages[@]} -gt 0 ]; then
  echo "setup: installs the Debian packages ${packages[*]} (needs root; nothing is removed, no service is started)"
  [ "$(id -u)" = 0 ] || { echo "setup: run it as root, or install these packages yourself" >&2; exit 1; }
  command -v apt-get > /dev/null || { echo "setup: no apt-get here: install the equivalents of these packages yourself" >&2; exit 1; }
  # Debian starts services on installation. A policy of exit 101 forbids it meanwhile; one that is there stays in force.
  policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' > $policy
    chmod 755 $policy
    trap 'rm -f $policy' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -qq -y --no-install-recommends --no-remove "${packages[@]}" > /dev/null ||
    { apt-get update -qq && apt-get install -qq -y --no-install-recommends --no-remove "${packages[@]}" > /dev/null; }
  # On a machine with systemd an installed unit would start at the next boot and take the port of ours.
  case " ${packages[*]} " in *" prometheus "*)
    if [ -d /run/systemd/system ]; then systemctl disable --quiet prometheus || true; fi ;;
  esac
fi

command -v go > /dev/null || { echo "setup: Go is missing (see the go line of e2e/tools/*/go.mod): https://go.dev/dl" >&2; exit 1; }
if ! rustc --print target-libdir --target $musl 2> /dev/null | xargs -r test -d; then
  echo "setup: adds the Rust target $musl"
  rustup target add $musl
fi

"$here/tools/build" "$cache"
echo "setup: done; programs are in $cache/bin"
