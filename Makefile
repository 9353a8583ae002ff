# make demo     runs the whole system on simulated devices and shows what happened
# make test     what passes on a fresh machine with Go, gcc and make
# make test-all the same with -race, fuzzing and everything else, nothing skipped
# make test-vm  devices on a real kernel, in a guest under qemu: see vm/README.md
# make bench    central side by side with Redis, PostgreSQL and bare TLS, in one run; see bench/
# make bench-go the benchmarks of the packages: ratios against a floor in the same run

GO       ?= go
BIN      := bin
PROGRAMS := posd centrald posmaind
FUZZTIME ?= 5000x

.PHONY: all build demo test test-all test-vm test-unprivileged tools vet fuzz bench bench-go test-bench clean

all: build

build:
	@mkdir -p $(BIN)
	@echo "building $(PROGRAMS) (the first time compiles SQLite: a minute or two)"
	@$(GO) build -trimpath -o $(BIN)/ $(addprefix ./cmd/,$(PROGRAMS))

demo: build
	@$(GO) build -trimpath -o $(BIN)/ ./demo
	@$(BIN)/demo --bin $(BIN) $(if $(KEEP),--keep)

test: vet
	$(GO) test ./...
	@command -v systemd-analyze >/dev/null || echo "SKIPPED: systemd-analyze is not installed, so systemd itself did not look at the units"
	@command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || echo "SKIPPED: PostgreSQL is not installed, so everything was tested on SQLite only"
	@command -v promtool >/dev/null || echo "SKIPPED: promtool is not installed, so Prometheus itself did not look at alerts and dashboard"
	@command -v systemd-hwdb >/dev/null || echo "SKIPPED: systemd-hwdb is not installed, so systemd itself did not look at the hardware database"
	@[ "$$(id -u)" = 0 ] && echo "SKIPPED: a port without permission, and processes that may not be looked into: root may do both" || \
	  echo "SKIPPED: nodes and messages of others, which only root can make"

# Device code must build and pass without a C compiler.
NOCGO := ./aamva ./gs1 ./tid ./identity ./strictjson ./enctid ./scanner ./msr ./basket ./problem ./drivers/... ./sim ./lane ./enroll ./central ./posmain ./config ./cli ./technician ./unixsocket ./version

test-all: tools vet
	CGO_ENABLED=0 $(GO) build $(NOCGO)
	POSD_TEST_ALL=1 $(GO) test -race -timeout 40m ./...
	$(GO) test -run AllocateNothing ./central/server # which the race detector cannot tell
	@POSD_TEST_ALL=1 $(MAKE) --no-print-directory test-bench
	@[ "$$(id -u)" != 0 ] || $(MAKE) --no-print-directory test-unprivileged
	@POSD_TEST_ALL=1 $(MAKE) --no-print-directory test-vm
	$(MAKE) --no-print-directory fuzz

# test-bench measures a little of everything, to see that make bench works.
test-bench:
	cd bench && $(GO) vet ./... && $(GO) test ./...

# test-vm runs the case RUN, or all. With KEEP=1 its guest stays, to look around.
test-vm:
	@KEEP=$(KEEP) RUN='$(RUN)' vm/test

# test-unprivileged runs, as nobody, what root's rights would hide.
test-unprivileged:
	@dir=$$(mktemp -d) && chmod 755 $$dir && trap 'rm -rf '$$dir EXIT && \
	  CGO_ENABLED=0 $(GO) test -c -o $$dir/ ./drivers ./drivers/node && chmod 755 $$dir/*.test && cd $$dir && \
	  for test in drivers.test:TestPortWithoutPermission node.test:TestHoldersThatAreHidden; do \
	    setpriv --reuid=65534 --regid=65534 --clear-groups env TMPDIR=/tmp ./$${test%:*} -test.run $${test#*:} -test.v || exit 1; \
	  done

# tools brings what test-all needs beyond Go, gcc and make.
tools:
	@command -v systemd-analyze >/dev/null && command -v systemd-hwdb >/dev/null || { \
	  sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$sudo apt-get update -q && $$sudo apt-get install -qy --no-install-recommends systemd udev; }
	@command -v postgres >/dev/null || ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || { \
	  sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$sudo apt-get update -q && $$sudo apt-get install -qy --no-install-recommends postgresql; }
	@command -v ip >/dev/null || { \
	  sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$sudo apt-get update -q && $$sudo apt-get install -qy --no-install-recommends iproute2; }
	@command -v redis-server >/dev/null || { \
	  sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$sudo apt-get update -q && $$sudo apt-get install -qy --no-install-recommends redis-server; }
	@command -v promtool >/dev/null || { \
	  sudo=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$sudo apt-get update -q && $$sudo apt-get install -qy --no-install-recommends prometheus; }

vet:
	@test -z "$$(gofmt -l .)" || { echo "not gofmt-clean:"; gofmt -l .; exit 1; }
	$(GO) vet ./...

# fuzz gives every fuzz target FUZZTIME: a count of inputs, or a time such as 1m.
fuzz:
	@set -e; for pkg in $$($(GO) list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}' ./...); do \
	  for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
	    echo "fuzz $$pkg $$target"; \
	    out=$$($(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$pkg 2>&1) || { echo "$$out"; exit 1; }; \
	    echo "$$out" | tail -n 1; \
	  done; \
	done

# bench takes BENCH's arguments: make bench BENCH='--keys 100000 lookups'
bench: build
	@cd bench && $(GO) build -trimpath -o ../$(BIN)/ .
	@$(BIN)/bench --bin $(BIN) $(BENCH)

bench-go:
	$(GO) test -run '^$$' -bench . -benchtime 1s ./...

clean:
	rm -rf $(BIN)
