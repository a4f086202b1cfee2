package app

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sync/errgroup"
)

// ImportImages loads the images of an archive into every node of this machine and
// returns their names.
func ImportImages(ctx context.Context, data, file string) ([]string, error) {
	nodes, err := localNodes(data)
	if err != nil {
		return nil, err
	}
	if len(nodes) == 0 {
		return nil, fmt.Errorf("the cluster on %s has no node on this machine; start it with `pintle up --data %s` first", data, data)
	}
	names := make([][]string, len(nodes))
	var group errgroup.Group
	for i, name := range nodes {
		group.Go(func() (err error) {
			names[i], err = importInto(ctx, nodeSpec{Name: name, DataDir: data}, file)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return names[0], nil
}

func importInto(ctx context.Context, s nodeSpec, file string) ([]string, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	runtime, err := openRuntime(ctx, s, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	defer runtime.Close()
	images, err := runtime.ImportImages(ctx, f)
	if err != nil {
		return nil, fmt.Errorf("import %s into %s: %w", file, s.Name, err)
	}
	var names []string
	for _, img := range images {
		names = append(names, img.Names...)
	}
	return names, nil
}
