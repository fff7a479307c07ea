# Sourced by the scripts that build pinned Go programs into the cache outside the clone. Expects: here, cache. Sets and counts: count, total,
# built.
platform=$(go env GOOS)-$(go env GOARCH)
# The build cache of these programs grows past 10 GB; it is dropped once all of them stand.
export GOCACHE=$cache/go-build CGO_ENABLED=0 GOFLAGS=-mod=readonly
# The compiler collects its garbage less often: memory (some 4 GB at most) for time.
export GOGC=400
mkdir -p "$cache/bin" "$GOCACHE"
count=0 built=0

version() { go -C "$here/$1" list -m -f '{{.Version}}' "$2"; }

# build MODULE PROGRAM PACKAGE [LDFLAGS]: prints one line; links cache/bin/PROGRAM to the build of these go.mod and go.sum.
build() {
  local module=$1 program=$2 package=$3 flags=${4:-}
  local key out started=$SECONDS
  key=$(cat "$here/$module/go.mod" "$here/$module/go.sum" | sha256sum | cut -c1-12)
  out=$cache/tools/$program-$key-$platform
  count=$((count + 1))
  if [ -x "$out" ]; then
    printf '[%2d/%d] %-24s cached\n' "$count" "$total" "$program"
  else
    printf '[%2d/%d] %-24s building … (%d min so far)\n' "$count" "$total" "$program" "$((SECONDS / 60))"
    mkdir -p "$cache/tools"
    # A clean machine downloads the modules first; only errors of both are of interest.
    go -C "$here/$module" build -trimpath -gcflags=all=-dwarf=false -ldflags "-s -w $flags" -o "$out.new" "$package"
    mv "$out.new" "$out"
    built=1
    printf '[%2d/%d] %-24s built in %d s\n' "$count" "$total" "$program" "$((SECONDS - started))"
  fi
  ln -sfn "$out" "$cache/bin/$program"
}
