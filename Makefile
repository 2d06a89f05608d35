# The only place that knows commands: .ci/run, GitHub and the git hook call it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

MODULES := $(dir $(shell git ls-files '*go.mod' 2>/dev/null || find . -name go.mod))
TOOL := go tool -modfile=$(CURDIR)/tools.mod
each = set -e; for dir in $(MODULES); do echo "== $$dir"; (cd $$dir; $(1)); done

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: ci
ci: check-tidy redis ## everything that must hold before a change lands
	@.ci/side-by-side \
		"test-library valkey-if-possible conformance-if-possible lint vuln-if-possible" \
		"fuzz-briefly test-modules"

GOTESTSUM := $(TOOL) gotestsum --format pkgname-and-test-fails --hide-summary skipped,output --packages ./...

# Packages at once. Their tests wait more than they compute.
PACKAGES ?= 3

.PHONY: test
test: redis ## every test of every module, on real servers
	@$(call each,$(GOTESTSUM) -- -p=$(PACKAGES) -vet=off -race -shuffle=on -count=1 -timeout 20m)

# The two halves of it, for make ci, which runs others beside them.
.PHONY: test-library test-modules
test-library:
	@$(MAKE) test MODULES=./
test-modules:
	@$(MAKE) test PACKAGES=2 MODULES="$(filter-out ./,$(MODULES))"

.PHONY: long
long: redis ## the tests with those that take long: chaos on all topologies, a hundred thousand fences, pages in Chromium
	@.ci/install-browser
	@LONG=1 $(MAKE) test

# The server programs of make matrix and of the benchmarks that compare servers.
matrix bench: export REDISHTTP_SERVERS ?= redis-server valkey-server

.PHONY: matrix
matrix: redis ## the suites on each server of REDISHTTP_SERVERS="redis-server valkey-server /path…", and a table of results
	@.ci/matrix

.PHONY: valkey
valkey: ## the quick part of the suites on valkey-server
	@.ci/install-valkey
	@QUICK=1 .ci/matrix valkey-server

.PHONY: valkey-if-possible
valkey-if-possible:
	@OPTIONAL=1 .ci/install-valkey
	@if command -v valkey-server >/dev/null; then QUICK=1 .ci/matrix valkey-server; fi

.PHONY: conformance
conformance: redis ## http-cache-tests against examples/proxy, compared with its list (needs Node)
	@.ci/conformance

.PHONY: conformance-if-possible
conformance-if-possible: redis
	@OPTIONAL=1 .ci/conformance

.PHONY: redis
redis: ## install redis-server where it is missing
	@.ci/install-redis

.PHONY: check-tidy
check-tidy: ## fail when a go.mod or go.sum would change
	@$(call each,go mod tidy -diff)

.PHONY: tidy
tidy: ## go mod tidy in every module
	@$(call each,go mod tidy)

LINT := go tool -modfile=$(CURDIR)/golangci.mod golangci-lint

# The linter reads what the compiler wrote: with -race that is what the tests have
# compiled. The program itself is built without.
.PHONY: lint
lint: ## golangci-lint with the list of .golangci.yml
	@lint=$$(go tool -modfile=$(CURDIR)/golangci.mod -n golangci-lint); export GOFLAGS="$$(go env GOFLAGS) -race"; \
	$(call each,nice $$lint run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...)

.PHONY: fmt
fmt: ## gofumpt and goimports
	@$(call each,$(LINT) fmt --config $(CURDIR)/.golangci.yml ./...)

.PHONY: vuln
vuln: ## known vulnerabilities in code that is called (needs vuln.go.dev)
	@$(call each,$(CURDIR)/.ci/vuln $(CURDIR)/tools.mod)

.PHONY: vuln-if-possible
vuln-if-possible:
	@OPTIONAL=1 $(MAKE) vuln

BENCHCOUNT ?= 3
BENCHTIME ?= 300ms
.PHONY: bench
bench: redis ## the benchmarks, and docs/benchmarks.md with their medians; BENCHCOUNT=1 PEERBENCH_MOMENT=60ms is quick
	@mkdir -p .tmp
	@$(call each,go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -count $(BENCHCOUNT) -timeout 1h ./...) | tee .tmp/bench.txt
	@go run ./internal/benchpage < .tmp/bench.txt > .tmp/benchmarks.md
	@mv .tmp/benchmarks.md docs/benchmarks.md

.PHONY: bench-compare
bench-compare: redis ## what commit B changed since A, beside the peers: bench-compare A=main B=. BENCH=Chain/hit ROUNDS=5
	@.ci/bench-compare $(A) $(B)

FUZZTIME ?= 20s
.PHONY: fuzz
fuzz: redis ## each fuzz target of each module for FUZZTIME
	@$(call each,$(CURDIR)/.ci/fuzz $(FUZZTIME))

.PHONY: fuzz-briefly
fuzz-briefly:
	@nice -n 5 $(MAKE) fuzz FUZZTIME=1s

.PHONY: hooks
hooks: ## check format, vet and tidiness before each commit
	@git config core.hooksPath .githooks
