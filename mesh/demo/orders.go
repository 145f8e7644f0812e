// The service `orders` of the mesh's demo: panics, and answers with the stack. orders PORT
package main

import (
	"fmt"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
)

type order struct{ lines []int }

func find(id string) *order {
	if id == "1" {
		return &order{lines: []int{3, 4}}
	}
	return nil
}

func total(o *order) int {
	sum := 0
	for _, price := range o.lines {
		sum += price
	}
	return sum
}

func handle(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Seen-Traceparent", r.Header.Get("traceparent"))
	defer func() {
		if value := recover(); value != nil {
			w.Header().Set("Content-Type", "text/plain")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprintf(w, "panic: %v\n\n%s", value, debug.Stack())
		}
	}()
	parts := strings.Split(r.URL.Path, "/")
	fmt.Fprintf(w, `{"total":%d}`, total(find(parts[len(parts)-1])))
}

func main() {
	if err := http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(handle)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
