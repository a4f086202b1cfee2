// Command pintle is a whole Kubernetes cluster in one binary.
package main

import (
	"os"
	// CronJobs name time zones; the machine may have no list of them.
	_ "time/tzdata"

	"github.com/pintle-io/pintle/cli/command"
)

func main() {
	os.Exit(command.Main(os.Args, os.Stdin, os.Stdout, os.Stderr))
}
