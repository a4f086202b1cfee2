// Package openapi serves /openapi/v2 and /openapi/v3 from documents that were
// built ahead of time (`task gen`) and are embedded compressed, because building
// them at run time costs more memory than everything else the API server keeps.
// What custom resources and extension servers add is merged in at request time. It
// never builds the documents of built-in kinds itself (gen does), nor fetches those
// of extension servers.
//
// A Service is safe for concurrent use. Documents are decompressed per request
// and not kept.
package openapi
