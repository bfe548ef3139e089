# `make help` lists the targets. Tools and build products are kept outside of the clone: see tests/setup.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup check test unit emulated fuzz sanitize e2e demo advice bench bench-api bench-operator bench-solve image cluster generate format clean

# every recipe runs with the cached tools on PATH
ENV := source tests/setup/env.sh

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: ## Link the example hospitals on a real cluster (your KUBECONFIG's, or a local one that it boots) and show the result
	@tests/demo

test: ## Everything: checks, unit tests, the cluster's own test, and the end-to-end tests on a cluster
	@tests/all

setup: ## Install and build what the other targets need (as root for the local cluster)
	@tests/setup/install

check: setup ## Fast: format, clippy, licences and advisories, generated files, unit tests
	@$(ENV) && tests/check

unit: setup ## Unit tests alone
	@$(ENV) && cargo test --workspace --locked

emulated: ## The engine's unit tests on emulated processors: ARM, and older x86-64
	@tests/emulated

sanitize: ## The engine's tests under Miri and AddressSanitizer: undefined behaviour in its unsafe code
	@tests/sanitize

fuzz: ## Reading uploads and files of pairs, and small matchings, with made-up inputs; FUZZ_SECONDS each (30)
	@tests/fuzz

e2e: ## End-to-end tests on a cluster
	@tests/e2e/run

latency: ## How long a small run takes, and where the time goes, on the installation that `make demo` left
	@$(ENV) && KUBECONFIG=$${KUBECONFIG:-$$(tests/local-cluster/cluster kubeconfig)} tests/latency

advice: ## How near the estimated precision and recall of thresholds are to the truth, where that is known
	@tests/advice/run

bench: ## Benchmark of the scoring engine against its peers, on a machine that does nothing else; `tests/bench/run --help` tells the rest
	@tests/bench/run

bench-api: ## Benchmark of the REST service: speed and memory of uploads, status requests and downloads
	@tests/bench-api/run

bench-operator: ## Benchmark of the operator: what it asks of the Kubernetes API server, its processor time and memory
	@tests/bench-operator/run

bench-solve: ## Benchmark of merging and solving pairs, beside anonlink
	@tests/bench-solve/run

image: setup ## Build the image, and the store's, as tar files (no Docker daemon needed)
	@$(ENV) && image/build

cluster: setup ## Boot the local cluster; `tests/local-cluster/cluster --help` tells the rest
	@$(ENV) && tests/local-cluster/cluster up

generate: setup ## Write the generated files: the CRDs, and the OpenAPI document
	@$(ENV) && cargo build --quiet --locked --workspace --bins && programs=$${CARGO_TARGET_DIR:-target}/debug && \
	$$programs/crdgen crds/yaml charts/linkage-operator/crds && $$programs/openapi api/openapi.json

format: ## Format the code
	@$(ENV) && cargo fmt --all
