// A server whose handler crashes: net/http recovers, and logs it.
package main

import (
	"log"
	"net/http"
	"net/http/httptest"
	"os"
)

func handle(http.ResponseWriter, *http.Request) {
	var orders map[string]int
	orders["a"] = 1
}

func main() {
	server := httptest.NewUnstartedServer(http.HandlerFunc(handle))
	server.Config.ErrorLog = log.New(os.Stderr, "", log.LstdFlags)
	server.Start()
	http.Get(server.URL)
	server.Close()
}
