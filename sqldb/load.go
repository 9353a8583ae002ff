package sqldb

import (
	"fmt"
	"iter"
	"strings"
)

// Loader adds many rows to a table, within a transaction. The values of a row are
// those of the columns: int64, float64, string, []byte or nil; the slice is used again for the
// next row. A row that is there already is an error.
type Loader func(table string, columns []string, rows iter.Seq[[]any]) error

// InsertRows is the statement that inserts n rows with as many parameters as they
// have columns.
func InsertRows(table string, columns []string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "INSERT INTO %s (%s) VALUES ", table, strings.Join(columns, ", "))
	for i := range n * len(columns) {
		switch {
		case i%len(columns) > 0:
			b.WriteString(", ")
		case i > 0:
			b.WriteString("), (")
		default:
			b.WriteByte('(')
		}
		fmt.Fprintf(&b, "$%d", i+1)
	}
	b.WriteByte(')')
	return b.String()
}
