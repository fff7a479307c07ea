# The only door: every check and every chore is a target here, and CI calls the same ones.
# Each target works alone from a clean clone: it makes what it needs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo down cluster-up cluster-down test test-unit test-faults test-worker test-python lint audit images image-python generate fmt clean

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/temporal-fleet
HELM := $(CACHE)/bin/helm
DENY := $(CACHE)/cargo-deny/bin/cargo-deny
MUSL := x86_64-unknown-linux-musl
# Where the local cluster serves Temporal.
TEMPORAL := 10.96.0.20:7233
# CARGO_TARGET_DIR is Cargo's own variable for a target directory elsewhere.
IMAGES := $(or $(CARGO_TARGET_DIR),target)/images
PYTHON := examples/python
PYTHON_SITE := $(or $(CARGO_TARGET_DIR),$(CURDIR)/target)/python
# The Python SDK, as the requirements of the example pin it.
PYTHON_SDK = python3 -m pip install -q --disable-pip-version-check --require-hashes --upgrade --target $(PYTHON_SITE) -r $(PYTHON)/requirements.txt
CLUSTER := cargo run -q -p fleet-e2e --bin local-cluster --
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
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

setup: ## install and build what the machine lacks: containerd, pinned Kubernetes, Temporal, Helm (root; once ~25 min)
	@e2e/setup.sh >&2

demo: $(if $(FOREIGN),$(HELM),setup images) ## the whole loop on a real cluster, live; KUBECONFIG=… for a cluster of yours
	$(USE_CLUSTER); cargo run -q -p fleet-e2e --bin demo -- $(DEMO_ARGS)

down: cluster-down ## remove all that demo and tests started

cluster-up: setup ## bring the local cluster up; prints the line that points kubectl at it
	$(CLUSTER) up

cluster-down: ## take the local cluster down; caches stay
	$(CLUSTER) down

test: test-unit $(if $(FOREIGN),$(HELM),setup images) ## unit tests, then everything on the real parts: kinds, chart, bad input, the loop, faults, the pages
	$(if $(FOREIGN),,cargo test -q -p fleet-e2e --test residue)
	$(USE_CLUSTER); cargo test -q -p fleet-e2e --test crd --test chart --test bad_input --test by_hand --test loop -- --test-threads=3
	$(if $(FOREIGN),,$(LOCAL_TESTS))

# What needs the local cluster: its guard, its Temporal, and faults that a cluster of yours should not meet. The last one ends with
# the cluster down, as the quickstart does.
define LOCAL_TESTS
cargo test -q -p fleet-e2e --test cluster
	TEMPORAL_TEST_ADDRESS=$(TEMPORAL) cargo test -q --workspace --exclude fleet-e2e --features fleet-temporal/real-server --test contract_server
	cargo test -q -p fleet-e2e --test faults -- --test-threads=1
	cargo test -q -p fleet-e2e --test pages
endef

test-unit: ## what needs no cluster: units, properties, golden plans and manifests
	cargo test -q --workspace --tests --exclude fleet-e2e
	cargo test -q -p fleet-e2e --lib --bins

test-faults: $(if $(FOREIGN),$(HELM),setup images) ## all faults on a real cluster, the long ones too
	$(USE_CLUSTER); cargo test -q -p fleet-e2e --test faults -- --test-threads=1 --include-ignored

# Most of these tests wait most of the time.
test-worker: setup ## the worker runtime on a real Temporal server, without a cluster; with the Python SDK as its peer
	$(PYTHON_SDK)
	PYTHON_SITE=$(PYTHON_SITE) cargo test -q --test server -- --test-threads=8

test-python: $(if $(FOREIGN),$(HELM),setup images image-python) ## the Python example: its unit tests, then its fleet on a real cluster
	$(PYTHON_SDK)
	cd $(PYTHON) && PYTHONPATH=$(PYTHON_SITE) python3 -m unittest
	$(USE_CLUSTER); cargo test -q -p fleet-e2e --test python

lint: $(HELM) ## formatting, clippy, dependency arrows, generated files, chart
	cargo fmt --all --check
	cargo clippy -q --workspace --all-targets -- -D warnings
	cargo run -q -p fleet-e2e --bin lint -- arrows
	cargo run -q -p fleet-crds --bin crdgen -- --check
	cargo run -q -p fleet-e2e --bin lint -- chart $(HELM) charts/temporal-fleet

audit: $(DENY) ## licences, sources, bans; advisories if their database can be had
	$(DENY) check bans licenses sources
	@if $(DENY) fetch db; then $(DENY) check --disable-fetch advisories; else echo "advisories: NOT RUN, no advisory database"; fi

images: ## static binaries and their OCI archives under target/images
	@rustup target list --installed | grep -qx $(MUSL) || rustup target add $(MUSL)
	cargo run -q -p fleet-e2e --bin image -- all $(IMAGES)

image-python: ## the Python example's OCI archive under target/images (root; once some minutes, then at once)
	cargo run -q -p fleet-e2e --bin image -- python $(IMAGES)

generate: ## write the generated files: custom resource definitions, their copies in the chart, reference tables
	cargo run -q -p fleet-crds --bin crdgen
	UPDATE_DOCS=1 cargo test -q --test features

fmt: ## format the code
	cargo fmt --all

clean: ## remove build output; the cache of pinned tools stays
	cargo clean

$(HELM):
	e2e/tools/build $(CACHE)

$(DENY):
	cargo install -q --locked --root $(CACHE)/cargo-deny cargo-deny@0.20.2
