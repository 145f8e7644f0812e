// Crashes in the way that its argument names.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime/debug"
)

type Repo struct{ orders map[string]int }

func (r *Repo) load(list []int, i int) int { return list[i] }

type Stack[T any] struct{ items []T }

func (s *Stack[T]) Top() T { return s.items[len(s.items)-1] }

func index() { fmt.Println((&Repo{}).load([]int{1}, 5)) }

func guarded(fn func()) {
	defer func() {
		if os.Getenv("PRINT") != "" && recover() != nil {
			debug.PrintStack()
			os.Exit(2)
		}
	}()
	fn()
}

func again() {
	defer func() { panic(fmt.Sprint("again: ", recover())) }()
	(&Repo{}).orders["a"] = 1
}

func endless(n int) int { return endless(n+1) + 1 }

var crashes = map[string]func(){
	"error":    func() { panic(errors.New("no order\nof that name")) },
	"index":    index,
	"nil":      func() { var r *Repo; r.orders = nil },
	"map":      func() { (&Repo{}).orders["a"] = 1 },
	"divide":   func() { zero := len(os.Args) - 2; fmt.Println(1 / zero) },
	"closed":   func() { c := make(chan int); close(c); c <- 1 },
	"assert":   func() { var any interface{} = 1; fmt.Println(any.(string)) },
	"generic":  func() { (&Stack[string]{}).Top() },
	"deadlock": func() { <-make(chan int) },
	"again":    again,
	"stack":    func() { guarded(index) },
	"endless":  func() { debug.SetMaxStack(1 << 20); endless(0) },
	"task":     func() { go index(); select {} },
}

func main() { crashes[os.Args[1]]() }
