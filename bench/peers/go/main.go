// Command bench is Go's part of the comparison: the same workloads on goroutines, all on one processor.
//
//	bench <workload> <n> <collector>
//
// What n counts is told in bench/workloads.lua; <collector> is "running", "stopped", or "any" where it makes no
// difference. It warms up, measures, checks what came out, and prints one
// line of JSON: {"operations":N,"seconds":S}, or {"operations":N,"bytes":B}. A wrong result is told on stderr
// and ends it with status 1.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
)

// workload runs for a size and checks its own result.
type workload func(n int) (measurement, error)

var workloads = map[string]workload{
	"switch":          func(n int) (measurement, error) { return switches(n, inOrder) },
	"switch/random":   func(n int) (measurement, error) { return switches(n, shuffled) },
	"spawn":           spawn,
	"spawn/cold":      spawnCold,
	"spawn/parked":    spawnBesideParked,
	"skynet":          skynet,
	"chan_unbuffered": unbuffered,
	"chan_buffered":   buffered,
	"select8":         selectOfEight,
	"mutex":           mutex,
	"timers":          timers,
	"func":            calls,
	"defer":           defers,
	"panic":           panics,
	"panic/task":      panicsInGoroutines,
	"panic/joined":    panicsReceived,
	"wake":            func(n int) (measurement, error) { return wake(n, inOrder) },
	"wake/random":     func(n int) (measurement, error) { return wake(n, shuffled) },
	"cancel":          cancel,
	"memory/lua":      func(n int) (measurement, error) { return memory(n, waitForEver) },
	"memory/defer":    func(n int) (measurement, error) { return memory(n, deferring) },
	"memory/timeout":  func(n int) (measurement, error) { return memory(n, withTimeout) },
	"memory/select":   func(n int) (measurement, error) { return memory(n, selecting()) },
	"memory/channel":  func(n int) (measurement, error) { return memory(n, receiving) },
	"memory_resident": memoryResident,
	"cancel_tree":     cancelTree,
}

func names() string {
	var all []string
	for name := range workloads {
		all = append(all, name)
	}
	sort.Strings(all)
	return strings.Join(all, " ")
}

func fail(status int, format string, arguments ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", arguments...)
	os.Exit(status)
}

func main() {
	runtime.GOMAXPROCS(1)
	if len(os.Args) < 4 {
		fail(2, "usage: bench <workload> <n> <collector>; workloads: %s", names())
	}
	collectorStopped = os.Args[3] == "stopped"
	run, known := workloads[os.Args[1]]
	n, err := strconv.Atoi(os.Args[2])
	if !known {
		fail(2, "there is no workload %q; there are: %s", os.Args[1], names())
	}
	if err != nil || n < 1 {
		fail(2, "n is to be a whole number from 1 on, not %q", os.Args[2])
	}
	result, err := run(n)
	if err != nil {
		fail(1, "%s %d: %v", os.Args[1], n, err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
		fail(1, "%v", err)
	}
}
