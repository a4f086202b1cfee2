package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/pintle-io/pintle/store/kv"
)

const (
	expireBatch  = 500
	trimInterval = 10 * time.Second
	// pageSteps is into how many steps the life of a page is divided: it may
	// expire one step late.
	pageSteps = 5
)

// tidyLoop deletes objects whose time to live is over, trims what is kept in memory,
// and ends the lists that are continued for too long.
func (s *Store) tidyLoop() {
	expire := time.NewTicker(s.opts.ExpiryInterval)
	defer expire.Stop()
	trim := time.NewTicker(trimInterval)
	defer trim.Stop()
	page := time.NewTicker(max(s.opts.PageLife/pageSteps, 1))
	defer page.Stop()
	// The revisions at the last ticks, the oldest first.
	ticks := []int64{s.Revision()}
	for {
		select {
		case <-s.ctx.Done():
			return
		case now := <-trim.C:
			s.trim(now)
			continue
		case <-page.C:
			if len(ticks) > pageSteps {
				s.oldestPage.Store(ticks[0])
				ticks = ticks[1:]
			}
			ticks = append(ticks, s.Revision())
			continue
		case <-expire.C:
		}
		if err := s.expire(time.Now().Unix()); err != nil && !errors.Is(err, context.Canceled) {
			s.log.Warn("expired objects not deleted", "err", err)
		}
	}
}

func (s *Store) trim(now time.Time) {
	s.texts.trim(now)
	for _, rs := range *s.routes.Load() {
		for _, r := range rs {
			r.trim(now)
		}
	}
}

func (s *Store) expire(now int64) error {
	for {
		keys, err := s.kv.Expired(now, expireBatch)
		if err != nil {
			return err
		}
		var deletes sync.WaitGroup
		failures := make([]error, len(keys))
		for i, key := range keys {
			deletes.Go(func() { failures[i] = s.expireKey(key, now) })
		}
		deletes.Wait()
		if err := errors.Join(failures...); err != nil || len(keys) < expireBatch {
			return err
		}
	}
}

func (s *Store) expireKey(key string, now int64) error {
	e, found, err := s.kv.Get(key, 0)
	if err != nil || !found || e.Head.Expiry == 0 || e.Head.Expiry > now {
		return err
	}
	_, err = s.kv.Write(s.ctx, kv.Txn{
		Conds:  []kv.Cond{{Key: key, ModRev: e.Head.ModRev}},
		Ops:    []kv.Op{{Key: key, Delete: true}},
		Urgent: true,
	})
	if isConflict(err) {
		return nil
	}
	return err
}
