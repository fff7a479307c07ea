# The only door: every check and every chore is a target here, and CI calls the same ones.
# Each target works alone from a clean clone: it makes what it needs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo down cluster-up cluster-down test test-unit test-faults test-worker test-worker-long test-python test-python-unit test-tutorial bench-runtime bench-autoscaler bench-live keda dev-server lint audit mutants images image-python generate fmt clean

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/temporal-fleet
HELM := $(CACHE)/bin/helm
TEMPORAL_SERVER := $(CACHE)/bin/temporal-server
DENY := $(CACHE)/cargo-deny/bin/cargo-deny
MUTANTS := $(CACHE)/cargo-mutants/bin/cargo-mutants
MUSL := x86_64-unknown-linux-musl
# Where the local cluster serves Temporal.
TEMPORAL := 10.96.0.20:7233
# CARGO_TARGET_DIR is Cargo's own variable for a target directory elsewhere.
IMAGES := $(or $(CARGO_TARGET_DIR),target)/images
BENCH := $(or $(CARGO_TARGET_DIR),target)/bench
PYTHON := examples/python
# The Python SDK, as the requirements of the example pin it.
PIP = python3 -m pip install -q --disable-pip-version-check --require-hashes --upgrade --target $(PYTHON_SITE) -r $(PYTHON)/requirements.txt
PYTHON_SITE := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/python
# No command names a package: Cargo then compiles every dependency once, with one set of features, for all of them.
CLUSTER := cargo run -q --bin local-cluster --
export PATH := $(CACHE)/bin:$(PATH)

# Only a KUBECONFIG given on make's command line names a foreign cluster; one that happens to be in the environment
# must never receive a test.
FOREIGN := $(filter command line,$(origin KUBECONFIG))
ifneq ($(FOREIGN),)
export KUBECONFIG
else
unexport KUBECONFIG
endif
# Sets KUBECONFIG in a recipe: the foreign cluster's, or that of the local one, brought up if it is down.
USE_CLUSTER = $(if $(FOREIGN),true,exports=$$($(CLUSTER) up) && eval "$$exports")

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## install and build what the machine lacks: containerd, pinned Kubernetes, Temporal, Helm (root; once ~25 min)
	@e2e/setup.sh >&2

demo: $(if $(FOREIGN),$(HELM),setup images) ## the whole loop on a real cluster, live; KUBECONFIG=… for a cluster of yours
	cargo build -q --bin demo --bin kubectl-temporal_worker
	$(USE_CLUSTER); cargo run -q --bin demo -- $(DEMO_ARGS)

down: cluster-down ## remove all that demo and tests started

cluster-up: setup ## bring the local cluster up; prints the line that points kubectl at it
	$(CLUSTER) up

cluster-down: ## take the local cluster down; caches stay
	$(CLUSTER) down

test: test-unit test-python-unit $(if $(FOREIGN),$(HELM),setup images image-python) ## unit tests, then everything on the real parts: kinds, chart, bad input, the loop, faults, the pages
	$(if $(FOREIGN),,cargo test -q --test residue)
	$(USE_CLUSTER); cargo test -q --test shared -- --test-threads=3
	$(if $(FOREIGN),,$(LOCAL_TESTS))

# What needs the local cluster: its guard, its Temporal, and faults that a cluster of yours should not meet. The last one ends with
# the cluster down, as the quickstart does.
define LOCAL_TESTS
cargo test -q --test cluster
	TEMPORAL_TEST_ADDRESS=$(TEMPORAL) cargo test -q --test contract_server
	cargo test -q --test faults -- --test-threads=1
	cargo test -q --test pages
endef

test-unit: ## what needs no cluster: units, properties, golden plans and manifests
	cargo test -q --tests
	cargo test -q --doc

test-faults: $(if $(FOREIGN),$(HELM),setup images) ## all faults on a real cluster, the long ones too
	$(USE_CLUSTER); cargo test -q --test faults -- --test-threads=1 --include-ignored

# Most of these tests wait most of the time.
test-worker: setup ## the worker runtime on a real Temporal server, without a cluster; with the Python SDK as its peer
	$(PIP)
	PYTHON_SITE=$(PYTHON_SITE) cargo test -q --test server -- --test-threads=8

test-worker-long: setup ## faults of the worker runtime that take minutes: ten without Temporal, a key that stays revoked (~12 min)
	cargo test -q --test server -- --ignored

test-python: test-python-unit $(if $(FOREIGN),$(HELM),setup images image-python) ## the Python example: its unit tests, then its fleet on a real cluster
	$(USE_CLUSTER); cargo test -q --test shared python

test-python-unit: $(if $(FOREIGN),,setup) ## the Python example's unit tests
	$(PIP)
	cd $(PYTHON) && PYTHONPATH=$(PYTHON_SITE) python3 -m unittest -q

test-tutorial: setup ## the tutorial for workers, word for word; brings the local cluster up and takes it down
	cargo test -q --test tutorial -- --test-threads=1

bench-runtime: $(TEMPORAL_SERVER) images ## the Rust runtime against the bare SDK and the Python worker: a table, and target/bench/runtime.json (~20 min)
	$(PIP)
	cargo run -q --bin bench-runtime -- --python-site $(PYTHON_SITE) $(BENCH_ARGS)

bench-autoscaler: ## all scalers on all simulated workloads: tables and pictures under target/bench, and autoscaler.json there (~10 min)
	cargo run -q --release --bin fleet-sim -- bench --json $(BENCH)/autoscaler.json --markdown $(BENCH)/autoscaler.md --svg $(BENCH)/autoscaler.svg $(BENCH_ARGS)

# Scalers on real parts. What the simulator says of the recorded load stands beside what was measured.
bench-live: setup images $(if $(findstring --scalers,$(BENCH_ARGS)),$(if $(findstring keda,$(BENCH_ARGS)),keda),keda) ## ours, the HPA and KEDA on the local cluster, one after another: target/bench/live.md (~8 h; BENCH_ARGS="--minutes 3 …" for a trial)
	exports=$$($(CLUSTER) up) && eval "$$exports"; cargo run -q --bin bench-live -- --output $(BENCH) $(BENCH_ARGS)
	for scenario in $(BENCH)/live/*.yaml; do \
	  rm -f $${scenario%.yaml}.simulated.json; \
	  cargo run -q --release --bin fleet-sim -- run --scenario $$scenario --scaler ours,hpa,keda --json $${scenario%.yaml}.simulated.json > /dev/null || echo "$$scenario was not simulated" >&2; \
	done
	cargo run -q --bin bench-live -- --output $(BENCH) --report-only

keda: ## KEDA's operator and metrics API server for bench-live, from its pinned Go module (once, long)
	e2e/tools/build-keda $(CACHE)

dev-server: $(TEMPORAL_SERVER) ## a Temporal server at localhost:7233 for workers on this machine, until it is told to end; keeps nothing
	@cargo run -q --bin dev-server

lint: $(HELM) ## formatting, clippy, dependency arrows, generated files, chart
	cargo fmt --all --check
	cargo clippy -q --all-targets -- -D warnings
	cargo clippy -q --test '*' -- -D warnings
	cargo run -q --bin lint -- arrows
	cargo run -q --bin crdgen -- --check
	cargo run -q --example reference -- --check
	cargo run -q --bin lint -- chart $(HELM) charts/temporal-fleet

audit: $(DENY) ## licences, sources, bans; advisories if their database can be had
	$(DENY) check bans licenses sources
	@if $(DENY) fetch db; then $(DENY) check --disable-fetch advisories; else echo "advisories: NOT RUN, no advisory database"; fi

# Each change is built and tested in a copy of the tree with a target directory of its own; what came of it is in target/mutants.out.
mutants: $(MUTANTS) ## changes the rules of decide() one place at a time: which change does no test notice? None may remain (~10 min; MUTANTS_ARGS="--file …/zero.rs" for a part)
	mkdir -p $(or $(CARGO_TARGET_DIR),target)
	env -u CARGO_TARGET_DIR CARGO_PROFILE_DEV_DEBUG=0 INSTA_UPDATE=no nice $(MUTANTS) mutants --config operator/autoscale/mutants.toml --package fleet-autoscale --output $(or $(CARGO_TARGET_DIR),target) $(MUTANTS_ARGS)

images: ## static binaries and their OCI archives under target/images
	@rustup target list --installed | grep -qx $(MUSL) || rustup target add $(MUSL)
	cargo run -q --bin image -- all $(IMAGES)

image-python: ## the Python example's OCI archive under target/images (root; once some minutes, then at once)
	cargo run -q --bin image -- python $(IMAGES)

generate: ## write the generated files: custom resource definitions, their copies in the chart, reference tables
	cargo run -q --bin crdgen
	cargo run -q --example reference
	UPDATE_DOCS=1 cargo test -q --test features

fmt: ## format the code
	cargo fmt --all

clean: ## remove build output; the cache of pinned tools stays
	cargo clean

$(HELM) $(TEMPORAL_SERVER) &:
	e2e/tools/build $(CACHE)

$(DENY):
	cargo install -q --locked --root $(CACHE)/cargo-deny cargo-deny@0.20.2

$(MUTANTS):
	cargo install -q --locked --root $(CACHE)/cargo-mutants cargo-mutants@27.1.0
