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
ci: check-tidy check-fmt vet staticcheck test conformance-if-possible ## everything that must hold before a change lands

# The tests have time limits and run on real servers: one that fails on a busy
# machine is shown, and run once more. After a data race, or many failures, nothing is.
GOTESTSUM := $(TOOL) gotestsum --format pkgname-and-test-fails --hide-summary skipped,output --packages ./... \
  --rerun-fails=1 --rerun-fails-max-failures=3 --rerun-fails-abort-on-data-race --rerun-fails-run-root-test

.PHONY: test
test: redis ## every test of every module, on real servers
	@$(call each,$(GOTESTSUM) -- -p=2 -vet=off -race -shuffle=on -count=1 -timeout 20m)

.PHONY: long
long: redis ## the tests with those that take long: chaos on all topologies, a hundred thousand fences, pages in Chromium
	@.ci/install-browser
	@LONG=1 $(MAKE) test

.PHONY: conformance
conformance: redis ## http-cache-tests against examples/proxy, compared with its list (needs Node)
	@.ci/conformance

.PHONY: conformance-if-possible
conformance-if-possible: redis
	@OPTIONAL=1 .ci/conformance

.PHONY: redis
redis: ## install redis-server and redis-sentinel where they are missing
	@.ci/install-redis

.PHONY: check-tidy
check-tidy: ## fail when a go.mod or go.sum would change
	@$(call each,go mod tidy -diff)

.PHONY: tidy
tidy: ## go mod tidy in every module
	@$(call each,go mod tidy)

.PHONY: check-fmt
check-fmt: ## fail when a file is not gofmt-ed
	@files=$$(gofmt -l .); test -z "$$files" || { echo "not gofmt-ed:"; echo "$$files"; exit 1; }

.PHONY: fmt
fmt: ## gofmt all
	@gofmt -w .

.PHONY: vet
vet: ## go vet
	@$(call each,go vet ./...)

.PHONY: staticcheck
staticcheck: ## staticcheck at the version of tools.mod; of the examples the programs, for the browser of their tests takes minutes to read
	@$(call each,$(TOOL) staticcheck $$(test $$dir = examples/ && echo -tests=false && go list ./... | grep -v /exampletest || echo ./...))

BENCHCOUNT ?= 3
BENCHTIME ?= 300ms
.PHONY: bench
bench: redis ## the benchmarks, and docs/benchmarks.md with their medians
	@mkdir -p .tmp
	@$(call each,go test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) -count $(BENCHCOUNT) ./...) | tee .tmp/bench.txt
	@go run ./internal/benchpage < .tmp/bench.txt > .tmp/benchmarks.md
	@mv .tmp/benchmarks.md docs/benchmarks.md

FUZZTIME ?= 20s
.PHONY: fuzz
fuzz: redis ## each fuzz target for FUZZTIME
	@for pkg in $$(go list ./...); do \
	  for target in $$(go test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "== $$pkg $$target"; go test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) $$pkg; \
	  done; \
	done

.PHONY: hooks
hooks: ## check format, vet and tidiness before each commit
	@git config core.hooksPath .githooks
