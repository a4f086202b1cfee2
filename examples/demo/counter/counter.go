package main

import (
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
)

// state is the file's content and the answers' shape.
type state struct {
	Visits int `json:"visits"`
}

// counter counts; every change is in the file before it is answered.
type counter struct {
	path string
	mu   struct {
		sync.Mutex
		state state
	}
}

func open(path string) (*counter, error) {
	c := &counter{path: path}
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return c, c.save(state{})
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(data, &c.mu.state); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return c, nil
}

func (c *counter) visits() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.mu.state.Visits
}

// change writes what next makes of the count, and answers it.
func (c *counter) change(next func(int) int) (state, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := state{Visits: next(c.mu.state.Visits)}
	if err := c.save(s); err != nil {
		return c.mu.state, err
	}
	c.mu.state = s
	return s, nil
}

// save replaces the file, so that a reader never sees half of it.
func (c *counter) save(s state) error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.path+".new", data, 0o600); err != nil {
		return err
	}
	return os.Rename(c.path+".new", c.path)
}

func (c *counter) handler(token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /visits", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, state{Visits: c.visits()}, nil)
	})
	mux.HandleFunc("POST /visits", func(w http.ResponseWriter, _ *http.Request) {
		s, err := c.change(func(n int) int { return n + 1 })
		answer(w, s, err)
	})
	mux.HandleFunc("PUT /visits", func(w http.ResponseWriter, r *http.Request) {
		given := r.Header.Get("Authorization")
		if token == "" || subtle.ConstantTimeCompare([]byte(given), []byte("Bearer "+token)) != 1 {
			http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
			return
		}
		start, err := strconv.Atoi(r.URL.Query().Get("seed"))
		if err != nil || start < 0 {
			http.Error(w, "seed: a number from 0 is needed", http.StatusBadRequest)
			return
		}
		s, err := c.change(func(n int) int {
			if n > 0 {
				return n
			}
			return start
		})
		answer(w, s, err)
	})
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, err := c.change(func(n int) int { return n })
		answer(w, state{Visits: c.visits()}, err)
	})
	return mux
}

func answer(w http.ResponseWriter, s state, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s)
}
