# Nothing needs to be installed but Go, curl (for the README's test) and, for
# `race`, a C compiler.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
SEEDS ?= 2000
FROM ?= 1
FOR ?= 20s
LEVEL ?= all
FUZZTIME ?= 30s
PACKAGES ?= ./...
IMAGE ?= dbdb
ROWS ?= all
COUNT ?= 6
PARTS := ./raft ./raft/wal ./rpc ./kvstore ./httpapi
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
BENCHSTAT := golang.org/x/perf/cmd/benchstat@v0.0.0-20260908200009-22c9c6c9d4da

.PHONY: build test race sim partition explore mutants mutant bench bench-parts fuzz lint cover run stop docker clean clean-data help

build: ## Build ./bin/dbdb
	CGO_ENABLED=0 go build -trimpath -o bin/dbdb ./cmd/dbdb

test: ## Run all tests, the simulator and real processes included
	go test ./...

race: ## Run the tests under the race detector
	go test -race ./...

sim: ## Simulate SEEDS=2000 worlds FROM=1 on, with live progress
	go test ./tests/sim -run TestSim -count=1 -timeout 0 -seeds=$(SEEDS) -from=$(FROM) -v

partition: ## The partition suite: scripts, simulated worlds, then real processes cut FOR=20s
	go test ./tests/scripts ./tests/sim -count=1
	go test ./tests/cluster -run Partition -count=1 -timeout 0 -for=$(FOR) -nodes=3 -v
	go test ./tests/cluster -run Partition -count=1 -timeout 0 -for=$(FOR) -nodes=5 -v

explore: ## Visit all states within bounds, of the real core, with live progress; LEVEL=figure-8: of one level
	go test ./tests/explore -run TestExplore -count=1 -timeout 0 -level=$(LEVEL) -v

mutants: ## Break each rule on purpose and see that a test notices; FULL=1: by every engine; M=figure-8: only that one
	go run ./tests/mutants $(if $(FULL),-full -cpu 5m,$(if $(filter 1,$(words $(M))),-page)) $(M)

mutant: ## M=figure-8 as an exercise: the shortest counterexample that chance finds, drawn in lanes
	go run ./tests/mutants -page $(or $(M),$(error say which one: make mutant M=figure-8))

bench: ## Measure dbdb beside etcd and hashicorp/raft: ROWS=set64,get64, FLAGS='-repeats 1 -seconds 2'; ROWS=scale: dbdb alone, as it grows
	cd tests/bench && go run . -rows $(ROWS) $(FLAGS)

# Old and new take turns: a machine that gets slower meanwhile does so for both.
bench-parts: ## Benchmark the parts COUNT=6 times; AGAINST=HEAD~3: also those of that commit, compared
	@tmp=$$(mktemp -d); trap '[ ! -e "$$tmp/old" ] || git worktree remove --force "$$tmp/old"; rm -rf "$$tmp"' EXIT; \
	against='$(AGAINST)'; [ -z "$$against" ] || git worktree add -q --detach "$$tmp/old" "$$against"; \
	for round in $$(seq $(COUNT)); do \
		echo "=== round $$round of $(COUNT)"; \
		[ -z "$$against" ] || (cd "$$tmp/old" && go test $(PARTS) -run '^$$' -bench . -count 1) | tee -a "$$tmp/old.txt"; \
		go test $(PARTS) -run '^$$' -bench . -count 1 | tee -a "$$tmp/new.txt"; \
	done; \
	echo; (cd "$$tmp"; go run $(BENCHSTAT) $$(ls -r *.txt))

# To make an input small that only covers something new would take Go a minute each, hence
# 100x. At the end of FUZZTIME Go 1.26 may call its own deadline a failure
# (golang/go#75804): it is one only if there is an input.
fuzz: ## Fuzz each target of PACKAGES=./... for FUZZTIME=30s; the first finding ends it
	@log=$$(mktemp); table=$$(mktemp); trap 'rm -f "$$log" "$$table"' EXIT; \
	row() { printf '%-46s %11s %5s  %s\n' "$$@" >> "$$table"; }; \
	row target executions new result; \
	targets=$$(go test -list '^Fuzz' $(PACKAGES) | awk '/^Fuzz/ {names[n++] = $$1} /^ok/ {for (k = 0; k < n; k++) print $$2 ":" names[k]; n = 0}'); \
	for target in $$targets; do \
		package=$${target%:*}; name=$${target#*:}; result=ok; \
		echo "=== $$name of $$package"; \
		go test "$$package" -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 100x 2>&1 | tee "$$log" || \
			{ grep -qx ' *context deadline exceeded' "$$log" && ! grep -q "$$name/" "$$log"; } || result=FAILED; \
		counts=$$(sed -n 's/.* execs: \([0-9]*\) .* interesting: \([0-9]*\) .*/\1 \2/p' "$$log" | tail -n 1); \
		row "$$name" $${counts:-0 0} "$$result"; \
		[ "$$result" = ok ] || break; \
	done; \
	echo; cat "$$table"; \
	[ "$$result" = ok ] || { input=$$(grep -o "$$name/[^ ]*" "$$log" | tail -n 1); \
		echo "to repeat it: go test $$package -run '^$${input/\//\$$/^}\$$'"; exit 1; }

lint: ## gofmt, go vet, staticcheck
	@unformatted=$$(gofmt -l .); [ -z "$$unformatted" ] || { echo "not gofmt-ed: $$unformatted"; exit 1; }
	go vet ./...
	go run $(STATICCHECK) ./...

cover: ## Coverage of the packages under raft/
	go test -cover ./raft/...

run: build ## Run three nodes on the README's ports; Ctrl-C stops them
	@mkdir -p data; \
	if ps -o args= -p "$$(cat data/run.pid 2>/dev/null)" 2>/dev/null | grep -q bin/dbdb; then \
		echo "make run is running already; make stop ends it"; exit 1; fi; \
	echo $$$$ > data/run.pid; \
	set -m; `# groups of their own: Ctrl-C reaches the nodes once, through the trap` \
	trap 'trap "" INT TERM; kill $$(jobs -p) 2>/dev/null; wait; rm -f data/run.pid; exit 0' INT TERM; \
	./bin/dbdb --node-id node1 --raft-port 2221 --http-port 8221 --bootstrap & \
	./bin/dbdb --node-id node2 --raft-port 2222 --http-port 8222 --join localhost:8221 & \
	./bin/dbdb --node-id node3 --raft-port 2223 --http-port 8223 --join localhost:8221 & \
	wait; rm -f data/run.pid

stop: ## Stop what `make run` started
	@if ps -o args= -p "$$(cat data/run.pid 2>/dev/null)" 2>/dev/null | grep -q bin/dbdb; then \
		kill "$$(cat data/run.pid)"; else echo "nothing to stop"; fi

docker: ## Build the image IMAGE=dbdb; where Go's image cannot be pulled, from a binary built here
	@if docker image inspect golang:1.26 >/dev/null 2>&1 || docker pull -q golang:1.26 2>/dev/null; then \
		docker build -t $(IMAGE) .; \
	else \
		echo "golang:1.26 cannot be pulled: the image's final stage is made from a binary built on this machine"; \
		context=$$(mktemp -d); trap 'rm -rf "$$context"' EXIT; mkdir "$$context/data"; \
		CGO_ENABLED=0 GOOS=linux GOARCH=$$(docker version -f '{{.Server.Arch}}') go build -trimpath -o "$$context/dbdb" ./cmd/dbdb; \
		sed -n '/^FROM scratch/,$$p' Dockerfile | \
			sed -e 's|--from=build ||' -e 's|/src/bin/dbdb|dbdb|' -e 's| /data /data| data /data|' > "$$context/Dockerfile"; \
		docker build -t $(IMAGE) "$$context"; \
	fi

clean: ## Remove what was built; data stays
	rm -rf bin coverage.out

clean-data: ## Remove the data of `make run`: everything that was stored
	rm -rf data

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
