// Package authoring is what an author of strategies does on their own machine: begin
// a module (Create), compile it (Build), and try it in the same sandbox, within the
// same limits, as the server would (Try). It speaks to no cluster. Its functions are
// safe for concurrent use on different directories.
package authoring
