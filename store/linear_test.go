package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/cockroachdb/pebble/v2/vfs"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/storage"
)

// registerOp is one call on the single object of TestLinearizable. The object is
// "" when it does not exist.
type registerOp struct {
	kind  string // create, set, delete, get, list
	value string
}

type registerResult struct {
	value string // read
	ok    bool   // written, or found
}

var register = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		cur, op, res := state.(string), input.(registerOp), output.(registerResult)
		switch op.kind {
		case "create":
			if res.ok {
				return cur == "", op.value
			}
			return cur != "", cur
		case "set":
			if res.ok {
				return cur != "", op.value
			}
			return cur == "", cur
		case "delete":
			if res.ok {
				return cur == res.value && cur != "", ""
			}
			return cur == "", cur
		}
		return res.value == cur, cur
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%v -> %v", input, output) },
}

func callRegister(r *Resource, op registerOp) (registerResult, error) {
	const key = "/configmaps/default/r"
	ctx, out := context.Background(), &corev1.ConfigMap{}
	obj := configMap("r")
	obj.Data = map[string]string{"v": op.value}
	var err error
	switch op.kind {
	case "create":
		err = r.Create(ctx, key, obj, nil, 0)
	case "set":
		err = r.GuaranteedUpdate(ctx, key, out, false, nil, storage.SimpleUpdate(func(obj runtime.Object) (runtime.Object, error) {
			obj.(*corev1.ConfigMap).Data["v"] = op.value
			return obj, nil
		}), nil)
	case "delete":
		err = r.Delete(ctx, key, out, nil, storage.ValidateAllObjectFunc, nil, storage.DeleteOptions{})
	case "get":
		err = r.Get(ctx, key, storage.GetOptions{}, out)
	case "list":
		var list corev1.ConfigMapList
		err = r.GetList(ctx, "/configmaps/", everything, &list)
		if len(list.Items) == 1 {
			out = &list.Items[0]
		}
	}
	if storage.IsNotFound(err) || storage.IsExist(err) {
		return registerResult{}, nil
	}
	return registerResult{value: out.Data["v"], ok: true}, err
}

// What concurrent callers see of one object is what some order of their calls,
// true to their times, would show.
func TestLinearizable(t *testing.T) {
	// Several short histories: the check is exponential in concurrency.
	for round := range uint64(8) {
		checkLinearizable(t, configMaps(t, openStore(t, Options{FS: vfs.NewMem()})), round)
	}
}

func checkLinearizable(t *testing.T, r *Resource, seed uint64) {
	const clients, calls = 4, 25
	start := time.Now()
	histories := make([][]porcupine.Operation, clients)
	var group sync.WaitGroup
	for c := range clients {
		group.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(c), seed))
			kinds := []string{"create", "set", "set", "delete", "get", "get", "list"}
			for i := range calls {
				op := registerOp{kind: kinds[rng.IntN(len(kinds))], value: fmt.Sprintf("%d-%d", c, i)}
				call := time.Since(start).Nanoseconds()
				res, err := callRegister(r, op)
				if err != nil {
					t.Errorf("%v: %v", op, err)
					return
				}
				histories[c] = append(histories[c], porcupine.Operation{
					ClientId: c, Input: op, Call: call, Output: res, Return: time.Since(start).Nanoseconds(),
				})
			}
		})
	}
	group.Wait()
	var all []porcupine.Operation
	for _, h := range histories {
		all = append(all, h...)
	}
	if result := porcupine.CheckOperationsTimeout(register, all, 20*time.Second); result != porcupine.Ok {
		t.Fatalf("the history of %d calls is %s", len(all), result)
	}
}
