// The cluster's self-test runs this in its pods: no image with a shell can be had offline.
//
//	probe serve             answer every HTTP request on port 8080 with the pod's name
//	probe get URL           succeed when the URL answers, within a few seconds
//	probe write FILE TEXT   write the file
//	probe read FILE TEXT    succeed when the file holds the text
//	probe fill              use ever more memory
//	probe succeed           do nothing
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"
)

func main() {
	log.SetFlags(0)
	switch arguments := os.Args[1:]; arguments[0] {
	case "serve":
		log.Fatal(http.ListenAndServe(":8080", http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(answer, os.Getenv("HOSTNAME"))
		})))
	case "get":
		get(arguments[1])
	case "write":
		if err := os.WriteFile(arguments[1], []byte(arguments[2]), 0o644); err != nil {
			log.Fatal(err)
		}
	case "read":
		read(arguments[1], arguments[2])
	case "fill":
		for kept := [][]byte{}; ; {
			block := make([]byte, 16<<20)
			for i := range block {
				block[i] = 1
			}
			kept = append(kept, block)
		}
	case "succeed":
	default:
		log.Fatalf("unknown: %q", arguments)
	}
}

func get(url string) {
	client := http.Client{Timeout: 2 * time.Second}
	for attempt := 0; attempt < 20; attempt++ {
		answer, err := client.Get(url)
		if err == nil {
			text, _ := io.ReadAll(answer.Body)
			fmt.Print(string(text))
			return
		}
		log.Print(err)
		time.Sleep(200 * time.Millisecond)
	}
	os.Exit(1)
}

func read(path, text string) {
	found, err := os.ReadFile(path)
	if err != nil || string(found) != text {
		log.Fatalf("%s holds %q, not %q: %v", path, found, text, err)
	}
}
