.PHONY: help test race lint fmt tidy fuzz cover api demo edges browser platforms bench matrix mutation vuln snippets consumer ci
.DEFAULT_GOAL := help

# Every module of the repository.
modules := $(dir $(shell git ls-files '*go.mod'))
each = set -e; for m in $(modules); do echo "-- $$m"; (cd $$m && $(1)); done

help: ## what there is
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

test: ## the tests
	go test ./...

race: ## the tests of every module with the race detector, in random order
	@$(call each,go test -race -shuffle=on ./...)

$(CURDIR)/.bin/golangci-lint .bin/golangci-lint: tools/go.mod tools/go.sum
	go -C tools build -o ../.bin/ tool
	@touch .bin/*

# A released golangci-lint of the pinned version, if there is one: building it takes minutes.
pinned := $(shell sed -n 's|.*golangci/golangci-lint/v2 v\([^ ]*\).*|\1|p' tools/go.mod)
released := $(shell command -v golangci-lint)
ifneq ($(released),)
ifeq ($(shell $(released) version --short),$(pinned))
linter := $(released)
endif
endif
linter ?= $(CURDIR)/.bin/golangci-lint

lint: $(filter-out $(released),$(linter)) ## vet and lint every module
	@$(call each,go vet ./... && $(linter) run)

fmt: $(filter-out $(released),$(linter)) ## format every module
	@$(call each,$(linter) fmt)

tidy: ## go mod tidy in every module
	@$(call each,$(CURDIR)/scripts/tidy.sh)

fuzz: ## every fuzz target for a minute
	scripts/fuzz.sh 60

cover: ## coverage of the root package, with its floor
	scripts/coverage.sh

api: .bin/golangci-lint ## what changed in the exported API since the last release
	scripts/api.sh

demo: ## the quickstart, without an account
	go run ./examples/quickstart

edges: ## the SDK before nginx, Apache with the OWASP core rules, and HAProxy: a minute; installs Debian packages
	scripts/edges.sh

browser: ## a browser, curl and Python through the local proxy, where they are installed
	scripts/browser.sh

platforms: ## vet for other systems, and the tests with 32 bits
	scripts/platforms.sh

bench: ## the measurements of docs/performance.md: three minutes or more
	bench/run.sh

matrix: ## the long run of the tests: many repetitions of what depends on luck
	PROXYLITE_LONG=1 PROXYLITE_STORM_REQUESTS=640000 go test -timeout 60m ./...

mutation: ## mutation testing of the root package and internal/wire: hours
	scripts/mutation.sh

vuln: .bin/golangci-lint ## known vulnerabilities, in what is called; asks vuln.go.dev
	.bin/govulncheck ./...

snippets: ## compile what the documents show
	go -C tools run ./cmd/snippets $$(git ls-files '*.md' ':!testdata')

consumer: ## build a foreign module offline, from its vendor folder
	scripts/consumer.sh

ci: ## all that must hold before a change lands
	.ci/run
