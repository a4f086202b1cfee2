package leader

import (
	"context"
	"encoding/json"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/pintle-io/pintle/engine/client"
)

// lock is the resourcelock.Interface of one campaign. The elector calls it from one
// goroutine at a time. It notes the term with the write that begins it, before
// anybody can work in it.
type lock struct {
	leader *Leader
	lease  *coordinationv1.Lease
}

// Get implements resourcelock.Interface.
func (k *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	cfg := &k.leader.cfg
	lease, err := cfg.Leases.Get(ctx, cfg.Namespace, cfg.Name)
	if err != nil {
		return nil, nil, err
	}
	k.lease = lease
	record := resourcelock.LeaseSpecToLeaderElectionRecord(&lease.Spec)
	raw, err := json.Marshal(*record)
	return record, raw, err
}

// Create implements resourcelock.Interface.
func (k *lock) Create(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	cfg := &k.leader.cfg
	lease := &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: cfg.Namespace, Name: cfg.Name},
		Spec:       resourcelock.LeaderElectionRecordToLeaseSpec(&record),
	}
	created, err := cfg.Leases.Create(ctx, lease)
	return k.wrote(created, err)
}

// Update implements resourcelock.Interface. It replaces the Lease as it was last read
// or written here.
func (k *lock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	lease := &coordinationv1.Lease{}
	if k.lease != nil {
		lease = k.lease.DeepCopy()
	}
	lease.Spec = resourcelock.LeaderElectionRecordToLeaseSpec(&record)
	updated, err := k.leader.cfg.Leases.Update(ctx, lease)
	return k.wrote(updated, err)
}

func (k *lock) wrote(lease *coordinationv1.Lease, err error) error {
	if err != nil {
		return err
	}
	k.lease = lease
	term := int64(notLeading)
	if holder := lease.Spec.HolderIdentity; holder != nil && *holder == k.Identity() {
		term = termOf(lease)
	}
	k.leader.set(term)
	return nil
}

// RecordEvent implements resourcelock.Interface; the log says who leads.
func (k *lock) RecordEvent(string) {}

// Identity implements resourcelock.Interface.
func (k *lock) Identity() string { return k.leader.cfg.Identity }

// Describe implements resourcelock.Interface.
func (k *lock) Describe() string { return k.leader.cfg.Namespace + "/" + k.leader.cfg.Name }

// InProcess are the Leases of this process's own registry.
type InProcess struct{ Client *client.Client }

// Get implements Leases.
func (p InProcess) Get(ctx context.Context, namespace, name string) (*coordinationv1.Lease, error) {
	return client.Get[*coordinationv1.Lease](ctx, p.Client, namespace, name)
}

// Create implements Leases.
func (p InProcess) Create(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return client.Create(ctx, p.Client, lease)
}

// Update implements Leases.
func (p InProcess) Update(ctx context.Context, lease *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	return client.Update(ctx, p.Client, lease)
}
