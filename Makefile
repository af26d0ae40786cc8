# make setup && make build && make test: from a fresh clone to everything green. `make help` lists the rest.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)
TOOLS := $(CACHE)/portcullis-tools
CARGO_DENY := $(TOOLS)/bin/cargo-deny
CLUSTER := tests/cluster/cluster
HOST := $(shell rustc -vV | sed -n 's/^host: //p')
# Static, so that the image is this one file. The explicit target keeps the flag away from proc macros.
BINARY := target/$(HOST)/release/portcullis

.PHONY: help setup packages tools interop build check fmt clippy walls deny advisories unit test life verdicts e2e bench demo manifests kubectl-docs crds
help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

setup: packages tools interop ## Debian packages (root or sudo), cargo-deny, the cluster's binaries, npm's issuers; does again only what is missing
	$(CLUSTER) build

packages:
	@if [ "$$(id -u)" = 0 ]; then $(CLUSTER) install; \
	elif command -v sudo >/dev/null; then sudo $(CLUSTER) install; \
	else echo "setup: neither root nor sudo: without the Debian packages 'make check' works, 'make test' does not"; fi

tools: $(CARGO_DENY)
$(CARGO_DENY):
	cargo install --quiet --locked --version 0.20.2 --root $(TOOLS) cargo-deny

interop:
	tests/interop/setup

build: ## the release binary, as it goes into the image
	RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --release --target $(HOST)

check: fmt clippy walls deny unit ## everything that needs no root: lints, walls, unit, wire and API-server tests

fmt:
	cargo fmt --check

clippy:
	cargo clippy --locked --all-targets -- -D warnings
	cargo clippy --locked --test key_life -- -D warnings

walls: # the data plane builds with no Kubernetes crate in the graph
	cargo check --locked --no-default-features

deny: $(CARGO_DENY)
	cargo fetch --locked --quiet # of every platform, which building does not need and the licence check does
	$(CARGO_DENY) --offline check bans licenses sources

advisories: $(CARGO_DENY) ## asks the RustSec database over the network; required before a release
	$(CARGO_DENY) check advisories

unit:
	$(CLUSTER) build etcd kube-apiserver kubectl helm h2spec
	tests/interop/setup
	cargo test --locked

test: ## everything: 'check', then the end-to-end run on a real cluster, and beside it the life of keys
	tests/cluster/e2e --requirements
	$(MAKE) check
	cargo test --locked --quiet --no-run --test key_life
	@$(MAKE) --no-print-directory life >target/life.log 2>&1 & life=$$!; trap 'kill $$life' INT TERM; \
	end=0; $(MAKE) e2e || end=$$?; \
	wait $$life || { cat target/life.log; exit 1; }; cat target/life.log; exit $$end
	$(MAKE) verdicts

life: ## keys on the wall clock: rotation, removal, an outage and its end under load; four minutes
	cargo test --locked --test key_life -- --nocapture

verdicts: ## the corpus and the Wycheproof vectors, as one table
	tests/verdicts.sh

e2e: ## the end-to-end run alone: root on Linux, or KUBECONFIG and LOAD_IMAGE
	tests/cluster/e2e --requirements
	$(MAKE) build
	tests/cluster/e2e $(BINARY)

bench: build ## Portcullis and its peers side by side, quickly; docs/performance.md has the full run
	bench/bench setup
	PORTCULLIS=$(BINARY) bench/bench run --quick

demo: ## tenant, backend and gateway in one process, and three curl commands to paste
	cargo run --locked --release -- demo

manifests: ## the chart's golden files and manifests/portcullis.yaml, written anew
	$(CLUSTER) build helm
	BLESS=1 cargo test --locked --quiet --test chart

kubectl-docs: build ## docs/kubectl.md, written anew by the end-to-end run
	KUBECTL_DOCS=docs/kubectl.md tests/cluster/e2e $(BINARY)

crds: ## crds/ and the chart's copy, written anew
	cargo run --locked --quiet -- crd >crds/protectedendpoints.yaml.new
	mv crds/protectedendpoints.yaml.new crds/protectedendpoints.yaml
	cp crds/protectedendpoints.yaml charts/portcullis/files/
