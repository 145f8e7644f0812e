# coropanic: `make help` lists the targets.
#
# `make` needs a C compiler and Lua's headers, and installs nothing. Every other target installs on Debian what
# it needs besides, and then calls make again: only that second make looks for what set-up has installed.

LUA_VERSION ?= 5.4
LUA         ?= lua$(LUA_VERSION)
LUA_LIB     ?= -llua$(LUA_VERSION)
LUA_INCDIR  ?= $(patsubst %/lua.h,%,$(firstword $(wildcard $(LUA_HEADERS))))
LUA_HEADERS  = $(addsuffix /lua.h,/usr/include/lua$(LUA_VERSION) /usr/local/include/lua$(LUA_VERSION) \
                                  /usr/local/include /usr/include)
PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
LIBDIR   ?= $(PREFIX)/lib
INCDIR   ?= $(PREFIX)/include
MANDIR   ?= $(PREFIX)/share/man
LUA_LMOD ?= $(PREFIX)/share/lua/$(LUA_VERSION)
LUA_CMOD ?= $(LIBDIR)/lua/$(LUA_VERSION)
BUILD    ?= build

# Where libprotobuf-c is, for `make protobuf`.
PROTOBUF_CFLAGS = $(shell pkg-config --cflags libprotobuf-c 2>/dev/null)
PROTOBUF_LIBS   = $(shell pkg-config --libs libprotobuf-c 2>/dev/null || echo -lprotobuf-c)

CC       ?= cc
AR       ?= ar
OPTIMISE ?= -O2
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wmissing-prototypes -Werror
CFLAGS   ?= $(OPTIMISE) -g
FLAGS     = -std=c11 -fPIC -fno-plt -fvisibility=hidden -Icsrc -isystem $(LUA_INCDIR) $(WARNINGS)

# `make V=1` prints whole commands instead of `CC file.c`.
V   ?= 0
say  = $(if $(filter 0,$(V)),@printf '  %-7s %s\n' '$(1)' '$(2)';)
MAKEFLAGS += --no-print-directory

ROOMS    := core kernel span report sync scope telemetry loop lua host
SOURCES  := $(sort $(wildcard $(ROOMS:%=csrc/%/*.c)))
OBJECTS  := $(SOURCES:csrc/%.c=$(BUILD)/obj/%.o)
MODULE   := $(BUILD)/coropanic/core.so
LIBRARY  := $(BUILD)/libcoropanic.a
CORELIB  := $(BUILD)/coropanic/corelib.so
COMMAND  := $(BUILD)/coropanic/cli/signal.so
ROCK     := build/rock/made
PROTOBUF := $(BUILD)/coropanic/export/otlp/protobuf.so
PROTOBUF_OBJECTS := $(BUILD)/otlp/protobuf.o $(BUILD)/otlp/otlp.pb-c.o
LUA_DIRS := $(patsubst lua/coropanic/%/,%,$(sort $(wildcard lua/coropanic/*/ lua/coropanic/*/*/)))

CORE_SPECS   := $(sort $(wildcard spec/core/*.c))
API_SPECS    := $(sort $(wildcard spec/embedded/api/*.c)) spec/core/harness.c
CORE_SOURCES := $(sort $(wildcard csrc/core/*.c))
ID_SOURCES   := $(addprefix csrc/core/,clock.c id.c id_hlc.c id_snowflake.c id_uuid7.c random.c)

CORELIB_SOURCES := csrc/corelib/corelib.c $(ID_SOURCES) \
  $(addprefix csrc/core/,baggage.c hex.c stack_hash.c traceparent.c tracestate_member.c)
CORELIB_OBJECTS := $(CORELIB_SOURCES:csrc/%.c=$(BUILD)/obj/%.o)

# The mesh's normaliser: all of mesh/ but the proxy-wasm filter, over a part of the core.
MESH_CORE    := $(addprefix csrc/core/,hex.c stack_hash.c traceparent.c)
MESH_SOURCES := $(filter-out mesh/filter.c mesh/streams.c,$(sort $(wildcard mesh/*.c)))
MESH_FILTER  := $(BUILD)/mesh/coropanic-filter.wasm
MESH_OBJECTS := $(MESH_CORE:csrc/%.c=$(BUILD)/obj/%.o) $(MESH_SOURCES:%.c=$(BUILD)/obj/%.o)
MESH_LIBRARY := $(BUILD)/mesh/libcoropanic_mesh.so
MESH_SPECS   := $(sort $(wildcard spec/mesh/*_spec.c)) spec/mesh/crashes.c spec/mesh/main.c spec/core/harness.c mesh/streams.c
MESH_FLAGS   := -I.
WASM_CC      ?= clang
WASM_FLAGS   := --target=wasm32-wasi -mexec-model=reactor -std=c11 -Oz -flto -ffunction-sections -fdata-sections \
                -Wl,--gc-sections -Wl,--strip-all -Icsrc -I.

# Scripts find the checkout's modules first.
RUN_ENV = LUA_PATH="$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;$(CURDIR)/spec/?.lua;;" \
          LUA_CPATH="$(CURDIR)/$(BUILD)/?.so;;"

.PHONY: all help headers lib protobuf setup demo demo-serve test test-all bench bench-report bench-guard bench-baseline check format \
  asan tsan valgrind hostile fuzz mutants soak bare install install-guest install-protobuf clean

all: $(MODULE) $(CORELIB) $(COMMAND) ## build the modules, and the library that LuaJIT uses (the default)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(firstword $(MAKEFILE_LIST)) | sed -E 's/:.*## /\t/' | expand -t 12

# Says by name what is missing, before the compiler does.
headers:
	@CC='$(CC)' LUA_INCDIR='$(LUA_INCDIR)' LUA_VERSION=$(LUA_VERSION) ./scripts/headers.sh

$(MODULE): $(OBJECTS)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $(OBJECTS)

$(BUILD)/obj/%.o: csrc/%.c | headers
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(FLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(OBJECTS:.o=.d) $(BUILD)/obj/corelib/corelib.d $(BUILD)/obj/cli/signal.d

# What needs no Lua, for those who have an FFI.
$(CORELIB): $(CORELIB_OBJECTS)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $(CORELIB_OBJECTS)

# What the command has in C.
$(COMMAND): $(BUILD)/obj/cli/signal.o
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $<

lib: $(LIBRARY) ## build the static library for C hosts

# One object, in which everything but the public symbols is local: no clash with a host's names.
$(LIBRARY): $(OBJECTS)
	$(call say,AR,$@)$(LD) -r -o $(BUILD)/coropanic.o $(OBJECTS)
	@objcopy --localize-hidden $(BUILD)/coropanic.o
	@rm -f $@
	@$(AR) rcs $@ $(BUILD)/coropanic.o

# The one module that needs a library, and is built by itself: OTLP's messages in protobuf.
protobuf: $(PROTOBUF) ## build coropanic.export.otlp.protobuf, which needs libprotobuf-c and protoc-c

$(BUILD)/otlp/otlp.pb-c.c: csrc/otlp/otlp.proto
	@mkdir -p $(@D)
	$(call say,PROTOC,$<)protoc-c --proto_path=$(<D) --c_out=$(@D) $<

# What protoc-c writes is not held against our warnings.
$(BUILD)/otlp/otlp.pb-c.o: $(BUILD)/otlp/otlp.pb-c.c
	$(call say,CC,$<)$(CC) -std=c11 -fPIC -fvisibility=hidden $(PROTOBUF_CFLAGS) $(CFLAGS) -c -o $@ $<

$(BUILD)/otlp/protobuf.o: csrc/otlp/protobuf.c $(BUILD)/otlp/otlp.pb-c.c | headers
	$(call say,CC,$<)$(CC) $(FLAGS) -isystem $(BUILD)/otlp $(PROTOBUF_CFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(BUILD)/otlp/protobuf.d

$(PROTOBUF): $(PROTOBUF_OBJECTS) $(BUILD)/obj/core/hex.o
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $^ $(PROTOBUF_LIBS)

setup: setup-demo setup-test setup-page setup-mesh setup-test-mesh setup-lint setup-clang setup-valgrind setup-deb ## install what all other targets but bench need

# A target's packages: scripts/setup.sh knows them.
setup-%:
	@./scripts/setup.sh $*

.PHONY: page test-page

page/node_modules/installed: page/package-lock.json
	cd page && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

page: setup-page page/node_modules/installed ## build the Trace Explorer's page, lua/coropanic/debug/page.lua, from page/
	node page/build.mjs lua/coropanic/debug/page.lua

test-page: setup-page page/node_modules/installed ## rebuild and compare the page, and use it in a real browser (SCREENSHOTS=folder); read recordings as Chrome does
	@$(MAKE) all
	@mkdir -p $(BUILD)
	node page/build.mjs $(BUILD)/page.lua
	cmp $(BUILD)/page.lua lua/coropanic/debug/page.lua
	@$(RUN_ENV) LUA=$(LUA) node page/test.mjs $(SCREENSHOTS)
	@$(RUN_ENV) LUA=$(LUA) node page/catapult.mjs

demo: setup-demo ## start the example service and send it real requests
	@$(MAKE) all
	@$(RUN_ENV) LUA=$(LUA) ./examples/gateway/demo.sh

demo-serve: setup-demo ## the same until Ctrl-C, for a look at the Trace Explorer
	@$(MAKE) all
	@$(RUN_ENV) LUA=$(LUA) ./examples/gateway/demo.sh --serve

.PHONY: demo-mesh
demo-mesh: setup-demo-mesh ## let four services in four languages crash behind nginx, called by the gateway, and show one table of their errors
	@$(MAKE) all $(MESH_LIBRARY)
	@$(RUN_ENV) LUA=$(LUA) LIBRARY=$(CURDIR)/$(MESH_LIBRARY) ./mesh/demo/demo.sh

test: setup-test ## build and run every test; ends with `N passed, N failed`
	@$(MAKE) test-all

.PHONY: mesh mesh-fuzz test-mesh

mesh: setup-mesh ## build the proxies' filter, build/mesh/coropanic-filter.wasm, and the library for nginx and others
	@$(MAKE) $(MESH_FILTER) $(MESH_LIBRARY)

test-mesh: setup-test-mesh ## crash real programs in five languages, and normalise what they print, natively and in the filter
	@$(MAKE) $(MESH_FILTER) $(BUILD)/mesh_spec $(BUILD)/mesh_native $(BUILD)/mesh_cost
	@BUILD=$(CURDIR)/$(BUILD) ./spec/mesh/test.sh

mesh-fuzz: setup-mesh ## run libFuzzer on each of the mesh's parsers under AddressSanitizer and UBSan (FUZZ_RUNS=1000000)
	@./spec/mesh/fuzz.sh $(BUILD)/mesh/fuzz $(or $(FUZZ_RUNS),1000000)

$(MESH_FILTER): $(MESH_SOURCES) $(MESH_CORE) mesh/filter.c mesh/streams.c $(wildcard mesh/*.h csrc/core/*.h)
	@mkdir -p $(@D)
	$(call say,WASM,$@)$(WASM_CC) $(WASM_FLAGS) $(WARNINGS) -o $@ $(filter %.c,$^)

# What nginx and others load.
$(BUILD)/obj/mesh/%.o: mesh/%.c | headers
	@mkdir -p $(@D)
	$(call say,CC,$<)$(CC) $(FLAGS) $(MESH_FLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(MESH_OBJECTS:.o=.d)

$(MESH_LIBRARY): $(MESH_OBJECTS)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) -shared $(CFLAGS) $(LDFLAGS) -o $@ $(MESH_OBJECTS)

# The specs of the parsers, a program that normalises what comes on stdin, and one that times it.
$(BUILD)/mesh_spec: $(MESH_SPECS) $(MESH_OBJECTS) $(wildcard spec/mesh/*.h)
	$(call say,CC,$@)$(CC) $(FLAGS) $(MESH_FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $(MESH_SPECS) $(MESH_OBJECTS)

$(BUILD)/mesh_native $(BUILD)/mesh_cost: $(BUILD)/mesh_%: spec/mesh/%.c $(MESH_OBJECTS)
	$(call say,CC,$@)$(CC) $(FLAGS) $(MESH_FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(MESH_OBJECTS)

test-all: all lib protobuf $(ROCK) $(BUILD)/rock_host $(BUILD)/old_host $(BUILD)/spec_fork.so $(BUILD)/spec_hook.so $(BUILD)/core_spec $(BUILD)/core_poll_spec $(BUILD)/ids $(BUILD)/memory_spec $(BUILD)/span_spec $(BUILD)/sink_spec $(BUILD)/backend_spec $(BUILD)/gateway_spec $(BUILD)/embed_host $(BUILD)/game $(BUILD)/api_spec $(BUILD)/mesh_spec $(BUILD)/mesh_native
	@$(RUN_ENV) LUA=$(LUA) BUILD=$(CURDIR)/$(BUILD) ./scripts/test.sh

# The mesh's normaliser as a module of Lua 5.3, which HAProxy has.
MESH_HAPROXY := $(BUILD)/mesh/coropanic_mesh.so
LUA53_INCDIR ?= /usr/include/lua5.3

.PHONY: mesh-haproxy
mesh-haproxy: $(MESH_HAPROXY) ## build the mesh's module for HAProxy, with the headers of Lua 5.3

$(MESH_HAPROXY): mesh/haproxy/binding.c mesh/coropanic_mesh.h $(MESH_OBJECTS)
	@mkdir -p $(@D)
	$(call say,LD,$@)$(CC) $(subst $(LUA_INCDIR),$(LUA53_INCDIR),$(FLAGS)) $(MESH_FLAGS) $(CFLAGS) $(LDFLAGS) -shared -o $@ $< $(MESH_OBJECTS)

$(BUILD)/core_spec: $(CORE_SPECS) $(CORE_SOURCES) $(wildcard csrc/core/*.h spec/core/*.h)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $(CORE_SPECS) $(CORE_SOURCES)

# The same with what systems other than Linux use.
$(BUILD)/core_poll_spec: $(BUILD)/core_spec
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) -DCP_POLLER_POLL -DCP_NO_EVENTFD -DCP_NO_WIPEONFORK -DCP_NO_TICKER $(LDFLAGS) -pthread -o $@ $(CORE_SPECS) $(CORE_SOURCES)

# Ids of many threads and processes.

$(BUILD)/ids: spec/soak/ids.c $(ID_SOURCES) $(wildcard csrc/core/*.h)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $< $(ID_SOURCES)

.PHONY: hosts
hosts: setup-hosts ## run the module in the programs of other people: spec/hosts
	@$(MAKE) all $(BUILD)/game
	@$(RUN_ENV) MESH_TEXTS=10000 LUA=$(LUA) BUILD=$(CURDIR)/$(BUILD) $(LUA) $$(command -v busted) --ignore-lua spec/hosts/

soak: $(BUILD)/ids ## what takes minutes: 10^8 ids of each generator, no two the same; 10^5 signals of a profile, every result right
	@$(BUILD)/ids 100000000
	@$(MAKE) all
	@$(RUN_ENV) $(LUA) spec/telemetry/signals.lua 100000

# C modules that specs need.
$(BUILD)/spec_fork.so $(BUILD)/spec_hook.so: $(BUILD)/spec_%.so: spec/%.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -shared -o $@ $<

# C programs that embed Lua: the failing allocator, the memory of spans, sinks of the stream of events, a host with a loop of its own, and the example host against the static library.
$(BUILD)/memory_spec: spec/memory/memory_spec.c spec/memory/host_functions.c spec/memory/host_functions.h $(OBJECTS) $(PROTOBUF_OBJECTS)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< spec/memory/host_functions.c $(OBJECTS) $(PROTOBUF_OBJECTS) $(PROTOBUF_LIBS) $(LUA_LIB) -lm

$(BUILD)/span_spec: spec/memory/span_spec.c $(OBJECTS)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LUA_LIB) -lm

$(BUILD)/sink_spec: spec/sinks/sink_spec.c $(OBJECTS)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LUA_LIB) -lm

$(BUILD)/backend_spec: spec/loop/backend_spec.c $(OBJECTS)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LUA_LIB) -lm

$(BUILD)/gateway_spec: spec/memory/gateway_spec.c $(OBJECTS)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LUA_LIB) -lm

# The specs of the C API, against the static library alone.
$(BUILD)/api_spec: $(API_SPECS) $(LIBRARY) $(wildcard spec/embedded/api/*.h)
	$(call say,CC,$@)$(CC) -D_GNU_SOURCE $(FLAGS) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $(API_SPECS) $(LIBRARY) $(LUA_LIB) -lm

$(BUILD)/embed_host: examples/embed/host.c $(LIBRARY)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(LIBRARY) $(LUA_LIB) -lm

# The game of examples/game.
$(BUILD)/game: examples/game/sdl.c $(LIBRARY)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(shell pkg-config --cflags sdl2) $(LDFLAGS) -o $@ $< $(LIBRARY) $(LUA_LIB) -lm \
	  $(shell pkg-config --libs sdl2 SDL2_gfx)

# The rock, and a host that has names of ours.
$(ROCK): scripts/rock.sh .gitignore docs $(wildcard *.rockspec bin/* csrc/*.h $(ROOMS:%=csrc/%/*) csrc/cli/*)
	@printf '  %-7s %s\n' ROCK build/rock/tree
	@LUA_VERSION=$(LUA_VERSION) ./scripts/rock.sh

# And one that plays other releases of Lua.
$(BUILD)/rock_host $(BUILD)/old_host: $(BUILD)/%: spec/embedded/%.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -fvisibility=default -rdynamic -o $@ $< $(LUA_LIB) -lm

# What the benchmark's programs find first.
BENCH_ENV = LUA_PATH="$(CURDIR)/bench/?.lua;$(CURDIR)/lua/?.lua;$(CURDIR)/lua/?/init.lua;;" \
            LUA_CPATH="$(CURDIR)/$(BUILD)/?.so;;"

bench: setup-guard ## time every hot path against others, and write docs/performance.md (ONLY=switch, ROUNDS=9)
	@./scripts/setup-bench.sh
	@$(MAKE) all $(BUILD)/floor.so $(BUILD)/bench_id bench-go
	@$(BENCH_ENV) LUA=$(LUA) BUILD=$(BUILD) $(LUA) bench/run.lua

bench-report: setup-guard ## make the tables and the plot of the last run of bench anew
	@$(BENCH_ENV) BUILD=$(BUILD) $(LUA) bench/run.lua report

bench-guard: setup-guard ## count the instructions of every hot path, and compare with bench/baseline.json
	@$(MAKE) all $(BUILD)/frozen_time.so
	@$(BENCH_ENV) LUA=$(LUA) BUILD=$(BUILD) CFLAGS="$(CFLAGS)" $(LUA) bench/guard.lua

bench-baseline: setup-guard ## make what is counted now the baseline
	@$(MAKE) all $(BUILD)/frozen_time.so
	@$(BENCH_ENV) LUA=$(LUA) BUILD=$(BUILD) CFLAGS="$(CFLAGS)" $(LUA) bench/guard.lua baseline

$(BUILD)/floor.so $(BUILD)/frozen_time.so: $(BUILD)/%.so: bench/%.c
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) -fvisibility=default -Wno-missing-prototypes -shared -o $@ $<

$(BUILD)/bench_id: bench/id.c $(ID_SOURCES:csrc/%.c=$(BUILD)/obj/%.o)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) -o $@ $^

# Go's part of the benchmark, if there is a Go that builds it; otherwise the benchmark goes on without.
.PHONY: bench-go
bench-go:
	@rm -f $(BUILD)/bench_go
	@-! command -v go >/dev/null || (cd bench/peers/go && go build -buildvcs=false -o $(CURDIR)/$(BUILD)/bench_go .)

FORECAST_KINDS := inversion pool channels healthy gated burst

# The programs of one kind, 120 seeds: see tools/forecast/collect.lua.
build/forecast/%.csv: tools/forecast/collect.lua tools/forecast/programs.lua tools/forecast/sampler.lua $(MODULE)
	@mkdir -p $(@D)
	$(call say,RUN,$@)$(RUN_ENV) $(LUA) $< $* 1 120 > $@.new
	@mv $@.new $@

.PHONY: forecast forecast-experiment
forecast: setup-forecast ## run docs/prediction.md's experiment: collect figures, train XGBoost and judge it, compare its trees in Lua
	@$(MAKE) -j2 forecast-experiment

# Debian's Python has Debian's modules; another that comes first in PATH has not.
forecast-experiment: $(FORECAST_KINDS:%=build/forecast/%.csv)
	@/usr/bin/python3 tools/forecast/train.py build/forecast
	@$(LUA) tools/forecast/check.lua build/forecast
	@cp build/forecast/trees.lua build/forecast/run.csv tools/forecast/model

check: setup-lint ## run the linters
	@LUA_INCDIR=$(LUA_INCDIR) ./scripts/check.sh

format: setup-format ## format the C sources
	find bench csrc examples mesh spec -name '*.[ch]' -exec clang-format -i {} +

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
ASAN_RUNTIME = $(shell $(CC) -print-file-name=libasan.so):$(shell $(CC) -print-file-name=libubsan.so)

# Random programs, each in a Lua state of its own; spec/fuzz/drive.lua says what FUZZ may be.
$(BUILD)/fuzz_host: spec/fuzz/host.c $(OBJECTS)
	$(call say,CC,$@)$(CC) $(FLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< $(OBJECTS) -llua5.4 -lm

fuzz: setup-test ## run random programs under AddressSanitizer and UBSan for a minute (FUZZ="seconds=600 first=1")
	@$(MAKE) all
	@$(MAKE) build/asan/fuzz_host BUILD=build/asan CFLAGS="-O1 -g -DCP_HOSTILE $(SANITIZE)" LDFLAGS="$(SANITIZE)"
	@$(RUN_ENV) $(LUA) spec/fuzz/drive.lua build/asan/fuzz_host $(FUZZ)

mutants: setup-test ## break the runtime on purpose, as spec/mutants/list.lua says, which the specs must notice (MUTANTS="name ...")
	@$(MAKE) -s all protobuf $(BUILD)/spec_fork.so $(BUILD)/spec_hook.so $(MESH_OBJECTS)
	@$(RUN_ENV) BUILD=$(BUILD) CC="$(CC)" CFLAGS="$(FLAGS) $(MESH_FLAGS) $(CFLAGS)" LDFLAGS="$(LDFLAGS)" \
	  OBJECTS="$(sort $(OBJECTS) $(MESH_OBJECTS))" CORE_SPECS="$(CORE_SPECS)" API_SPECS="$(API_SPECS)" \
	  MESH_SPECS="$(MESH_SPECS)" LUA_LIB="$(LUA_LIB)" LUA=$(LUA) $(LUA) spec/mutants/run.lua $(MUTANTS)

asan: setup-test ## run every test under AddressSanitizer and UBSan
	@TEST_MEMORY_STRIDE=5 $(MAKE) test-all BUILD=build/asan CFLAGS="-O1 -g -DCP_HOSTILE $(SANITIZE)" \
	  LDFLAGS="$(SANITIZE)" TEST_PRELOAD="$(ASAN_RUNTIME)"

# The programs that have threads. ThreadSanitizer delivers a signal only when the thread calls into the C library, which a loop
# that is to be preempted does not.
tsan: setup-test ## run the specs of the C API and of the core under ThreadSanitizer
	@$(MAKE) build/tsan/core_spec build/tsan/api_spec BUILD=build/tsan CFLAGS="-O1 -g -fsanitize=thread" \
	  LDFLAGS="-fsanitize=thread"
	@TSAN_OPTIONS=halt_on_error=1 build/tsan/core_spec
	@TSAN_OPTIONS=halt_on_error=1 build/tsan/api_spec --without preempt

valgrind: setup-valgrind ## run every test under valgrind's memcheck
	@TEST_MEMORY_STRIDE=23 TEST_WRAPPER="valgrind --quiet --fair-sched=yes --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
    --keep-debuginfo=yes --suppressions=$(CURDIR)/spec/valgrind.supp" \
	  $(MAKE) test-all BUILD=build/valgrind CFLAGS="-O1 -g -DCP_HOSTILE"

hostile: setup-test ## run every test with all assertions on and a busier collector
	@TEST_HOSTILE=1 $(MAKE) test-all BUILD=build/hostile CFLAGS="-O1 -g -DCP_HOSTILE"

.PHONY: dist deb

dist: ## make build/dist/coropanic-VERSION.tar.gz of HEAD
	@VERSION=$(VERSION) ./scripts/dist.sh

deb: setup-deb ## build the Debian packages and the rock of HEAD from what dist has made, and try what they install
	@$(MAKE) dist
	@VERSION=$(VERSION) ./scripts/deb.sh

bare: setup-bare ## in a Debian of its own with only gcc, libc6-dev and make, run demo and test (needs root)
	@./scripts/bare.sh

# Without debugging information, which is as large as three modules: INSTALL_MODULE="install -m 755" keeps it.
INSTALL_MODULE ?= install -s -m 755
LUA_SHEBANG    ?= /usr/bin/env $(LUA)
STRIP          ?= strip
VERSION         = $(shell sed -n 's/^.define CP_VERSION "\(.*\)"$$/\1/p' csrc/coropanic.h)

# Lua files, to the folder given.
define install_lua
	install -d $(addprefix $(1)/coropanic/,$(LUA_DIRS))
	install -m 644 lua/coropanic/*.lua $(1)/coropanic
	for dir in $(LUA_DIRS); do \
	  install -m 644 lua/coropanic/$$dir/*.lua $(1)/coropanic/$$dir || exit 1; done
endef

# A folder as pkg-config files name it.
below_prefix = $(patsubst $(PREFIX)/%,$${prefix}/%,$(1))

# In the command it says where the modules are, behind the paths that Lua has anyway.
define install_command
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(MANDIR)/man1 $(DESTDIR)$(LUA_CMOD)/coropanic/cli
	$(INSTALL_MODULE) $(COMMAND) $(DESTDIR)$(LUA_CMOD)/coropanic/cli
	sed -e '1s|.*|#!$(LUA_SHEBANG)|' \
	  -e '2a package.path = package.path .. ";$(LUA_LMOD)/?.lua;$(LUA_LMOD)/?/init.lua"' \
	  -e '2a package.cpath = package.cpath .. ";$(LUA_CMOD)/?.so"' bin/coropanic > $(DESTDIR)$(BINDIR)/coropanic
	chmod 755 $(DESTDIR)$(BINDIR)/coropanic
	install -m 644 docs/coropanic.1 $(DESTDIR)$(MANDIR)/man1
endef

install: all lib ## install modules, command, manual page, headers, static library and pkg-config file
	$(install_command)
	$(call install_lua,$(DESTDIR)$(LUA_LMOD))
	install -d $(DESTDIR)$(LUA_CMOD)/coropanic $(DESTDIR)$(INCDIR) $(DESTDIR)$(LIBDIR)/pkgconfig
	$(INSTALL_MODULE) $(MODULE) $(CORELIB) $(DESTDIR)$(LUA_CMOD)/coropanic
	install -m 644 csrc/coropanic.h csrc/coropanic_core.h $(DESTDIR)$(INCDIR)
	install -m 644 $(LIBRARY) $(DESTDIR)$(LIBDIR)
	$(STRIP) --strip-debug $(DESTDIR)$(LIBDIR)/$(notdir $(LIBRARY))
	sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(call below_prefix,$(LIBDIR))|' \
	  -e 's|@INCDIR@|$(call below_prefix,$(INCDIR))|' \
	  -e 's|@VERSION@|$(VERSION)|' -e 's|@LUA@|lua$(LUA_VERSION)|' csrc/coropanic.pc.in \
	  > $(DESTDIR)$(LIBDIR)/pkgconfig/coropanic.pc

# LuaJIT looks where Lua 5.1 does.
GUEST_VERSION ?= 5.1

GUEST_LMOD ?= $(PREFIX)/share/lua/$(GUEST_VERSION)
GUEST_CMOD ?= $(LIBDIR)/lua/$(GUEST_VERSION)

.PHONY: guest
guest: $(CORELIB) ## build what LuaJIT, Lua 5.1 or 5.3 need

install-guest: guest ## install what LuaJIT, Lua 5.1 or 5.3 need (GUEST_VERSION=5.3)
	$(call install_lua,$(DESTDIR)$(GUEST_LMOD))
	install -d $(DESTDIR)$(GUEST_CMOD)/coropanic
	$(INSTALL_MODULE) $(CORELIB) $(DESTDIR)$(GUEST_CMOD)/coropanic

install-protobuf: protobuf ## install coropanic.export.otlp.protobuf
	install -d $(DESTDIR)$(LUA_CMOD)/coropanic/export/otlp
	$(INSTALL_MODULE) $(PROTOBUF) $(DESTDIR)$(LUA_CMOD)/coropanic/export/otlp

clean: ## remove everything that was built
	rm -rf build
