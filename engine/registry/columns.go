package registry

import (
	"context"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/registry/rest"

	"github.com/pintle-io/pintle/engine/apis"
)

// columns converts objects of one kind to the Table form.
type columns struct {
	cells       []apis.Column
	definitions []metav1.TableColumnDefinition
}

func newTableConvertor(row *apis.Resource) rest.TableConvertor {
	if len(row.Columns) == 0 {
		return rest.NewDefaultTableConvertor(row.GVR().GroupResource())
	}
	c := columns{cells: row.Columns}
	for _, col := range row.Columns {
		c.definitions = append(c.definitions, metav1.TableColumnDefinition{
			Name: col.Name, Type: col.Type, Format: col.Format, Description: col.Description, Priority: col.Priority,
		})
	}
	return c
}

// ConvertToTable takes an object or a list of them.
func (c columns) ConvertToTable(_ context.Context, obj, tableOptions runtime.Object) (*metav1.Table, error) {
	table := &metav1.Table{}
	add := func(item runtime.Object) error {
		table.Rows = append(table.Rows, c.row(item))
		return nil
	}
	if m, err := meta.ListAccessor(obj); err == nil {
		table.ResourceVersion, table.Continue = m.GetResourceVersion(), m.GetContinue()
		table.RemainingItemCount = m.GetRemainingItemCount()
	} else if m, err := meta.CommonAccessor(obj); err == nil {
		table.ResourceVersion = m.GetResourceVersion()
	}
	if meta.IsListType(obj) {
		if err := meta.EachListItem(obj, add); err != nil {
			return nil, err
		}
	} else if err := add(obj); err != nil {
		return nil, err
	}
	if opts, ok := tableOptions.(*metav1.TableOptions); !ok || !opts.NoHeaders {
		table.ColumnDefinitions = c.definitions
	}
	return table, nil
}

func (c columns) row(obj runtime.Object) metav1.TableRow {
	row := metav1.TableRow{Cells: make([]any, len(c.cells)), Object: runtime.RawExtension{Object: obj}}
	for i := range c.cells {
		row.Cells[i] = c.cells[i].Cell(obj)
	}
	return row
}
