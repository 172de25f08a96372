// Copyright The llamastack-operator Authors.
// SPDX-License-Identifier: Apache-2.0

// pause holds the namespaces of a Pod: it waits for a signal and reaps orphans.
//
// With a first argument it is something else, so that one image serves the tests of the node, too:
//
//	pause serve PORT    answers every HTTP request with its own host name
//	pause fail MESSAGE  writes a termination message and exits with 3
package main

import (
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func pause() {
	sig := make(chan os.Signal, 16)
	signal.Notify(sig, syscall.SIGINT, syscall.SIGTERM, syscall.SIGCHLD)
	for s := range sig {
		if s != syscall.SIGCHLD {
			os.Exit(0)
		}
		for {
			var status syscall.WaitStatus
			if pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}

func serve(port string) {
	name, _ := os.Hostname()
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
		fmt.Fprintln(w, name)
	})
	fmt.Println("serving at port", port)
	fmt.Println(http.ListenAndServe(":"+port, nil))
	os.Exit(1)
}

func main() {
	words := append(os.Args[1:], "")
	switch words[0] {
	case "serve":
		go serve(words[1])
	case "fail":
		message := strings.Join(os.Args[2:], " ")
		fmt.Println(message)
		_ = os.WriteFile("/dev/termination-log", []byte(message), 0o644)
		os.Exit(3)
	}
	pause()
}
