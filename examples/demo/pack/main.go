// Command pack packs a static binary into an OCI image archive:
//
//	CGO_ENABLED=0 go build -o web ./examples/demo/web
//	go run ./examples/demo/pack -name demo/web:1 -port 8080 -out web.tar web
//	pintle image import web.tar
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/pintle-io/pintle/examples/demo/archive"
)

func main() {
	var img archive.Image
	flag.StringVar(&img.Name, "name", "", "name of the image, such as demo/web:1")
	flag.StringVar(&img.User, "user", "65532:65532", "user and group, as numbers")
	flag.IntVar(&img.Port, "port", 0, "port that the program serves")
	out := flag.String("out", "", "archive to write")
	flag.Parse()
	if img.Name == "" || *out == "" || flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: pack -name IMAGE -out FILE [-user U:G] [-port N] BINARY")
		os.Exit(2)
	}
	img.Binary = flag.Arg(0)
	if err := archive.WriteFile(*out, img); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
