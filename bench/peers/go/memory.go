package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"
)

// What a goroutine that waits for ever holds.

// waitForEver holds nothing.
func waitForEver() { select {} }

func deferring() {
	defer func() {}()
	select {}
}

func withTimeout() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
	defer cancel()
	<-ctx.Done()
}

// selecting waits for two channels that all share.
func selecting() func() {
	first, second := make(chan int), make(chan int)
	return func() {
		select {
		case <-first:
		case <-second:
		}
	}
}

// receiving waits for a channel of its own.
func receiving() { <-make(chan int) }

// park begins n goroutines that wait for ever.
func park(n int, wait func()) error {
	before := runtime.NumGoroutine()
	var begun sync.WaitGroup
	begun.Add(n)
	for i := 0; i < n; i++ {
		go func() {
			begun.Done()
			wait()
		}()
	}
	begun.Wait()
	runtime.Gosched() // the last of them wait
	return expect("parked goroutines", runtime.NumGoroutine()-before, n)
}

// grown is how much more size says once n goroutines are parked.
func grown(n int, wait func(), size func() (int64, error)) (measurement, error) {
	before, err := size()
	if err != nil {
		return measurement{}, err
	}
	if err := park(n, wait); err != nil {
		return measurement{}, err
	}
	after, err := size()
	bytes := after - before
	if err == nil && bytes <= 0 {
		err = fmt.Errorf("bytes: %d", bytes)
	}
	return measurement{Operations: n, Bytes: &bytes}, err
}

// allocated returns the bytes of the heap, without garbage, and of stacks.
func allocated() (int64, error) {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc + stats.StackInuse), nil
}

// resident returns the bytes of memory that the process occupies, as Linux tells it; without garbage.
func resident() (int64, error) {
	runtime.GC()
	file, err := os.Open("/proc/self/statm")
	if err != nil {
		return 0, err
	}
	defer file.Close()
	var size, pages int64
	if _, err := fmt.Fscan(file, &size, &pages); err != nil {
		return 0, fmt.Errorf("/proc/self/statm: %w", err)
	}
	return pages * int64(os.Getpagesize()), nil
}

func memory(n int, wait func()) (measurement, error) { return grown(n, wait, allocated) }

func memoryResident(n int) (measurement, error) { return grown(n, waitForEver, resident) }
