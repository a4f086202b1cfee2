package apiserver

import (
	"net/http"
	"reflect"

	"golang.org/x/sys/unix"
	"k8s.io/apimachinery/pkg/runtime/schema"
	genericapiserver "k8s.io/apiserver/pkg/server"

	"github.com/pintle-io/pintle/engine/apiserver/guard"
)

const (
	// maxBody bounds request bodies.
	maxBody = 3 << 20
	// maxStreams bounds watches and other requests that last, and maxConnections
	// what carries them. maxStrangers bounds the connections without a user.
	maxStreams     = 20_000
	maxConnections = 20_000
	maxStrangers   = 1000
	// keptFiles are left to the store and the rest of the process when the limit on
	// open files bounds the connections.
	keptFiles = 1024
)

// limit puts the limits of package guard into the configuration and into the
// chain: the handler that it returns is given to upstream's chain as the innermost.
func limit(cfg *Config) func(inner http.Handler, c *genericapiserver.Config) http.Handler {
	bodies := &guard.Bodies{Limit: maxBody, Types: goTypes(cfg), Codecs: cfg.Registry.Codecs()}
	lists := guard.NewLists(cfg.Registry.Codecs())
	var connections *guard.Connections
	if cfg.Listener != nil {
		connections = guard.NewConnections(cfg.Listener, connectionLimit(), maxStrangers)
		cfg.Listener = connections
	}
	cfg.Admission = guard.Metadata{Next: cfg.Admission}
	return func(inner http.Handler, c *genericapiserver.Config) http.Handler {
		streams := &guard.Streams{Limit: maxStreams, LongRunning: c.LongRunningFunc, Codecs: cfg.Registry.Codecs()}
		handler := streams.Wrap(lists.Wrap(bodies.Wrap(inner)))
		if connections != nil {
			handler = connections.Wrap(handler)
		}
		return handler
	}
}

// connectionLimit leaves open files to the others.
func connectionLimit() int {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil || files.Cur > maxConnections+keptFiles {
		return maxConnections
	}
	return int(max(files.Cur/4, files.Cur-min(files.Cur, keptFiles)))
}

// goTypes are the types that bodies are decoded into.
func goTypes(cfg *Config) map[schema.GroupVersionResource]reflect.Type {
	types := map[schema.GroupVersionResource]reflect.Type{}
	for _, row := range cfg.Registry.Table() {
		types[row.GVR()] = reflect.TypeOf(row.New())
		for _, gvk := range row.OtherVersions {
			if obj, err := cfg.Registry.Scheme().New(gvk); err == nil {
				types[gvk.GroupVersion().WithResource(row.Plural)] = reflect.TypeOf(obj)
			}
		}
	}
	return types
}
