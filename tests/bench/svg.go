package main

import (
	"fmt"
	"io"
	"strings"
)

// Sizes of the picture, in pixels.
const (
	pictureWidth = 900
	nameWidth    = 170
	figureWidth  = 220
	barHeight    = 16
	barGap       = 5
	rowGap       = 46
	textDrop     = 12 // from the top of a bar to the line that its text stands on
)

var colours = map[string]string{
	"dbdb": "#1f6feb", "etcd": "#bf5b04", "hashicorp": "#6e40c9", "hashicorp-memory": "#b69cf0", "floor": "#8c959f",
}

var escape = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;")

// writeSVG draws a bar for each peer of each row. Rows have units of their own, so each has
// its own scale; the thin line is from the lowest repeat to the highest.
func (r report) writeSVG(w io.Writer) {
	var body strings.Builder
	y := 24
	fmt.Fprintf(&body, "<text x=\"8\" y=\"%d\" font-size=\"15\">dbdb beside others: %s</text>\n", y, escape.Replace(r.Date))
	y += 18
	fmt.Fprintf(&body, "<text x=\"8\" y=\"%d\" fill=\"#57606a\">%s</text>\n", y, escape.Replace(fmt.Sprintf("%s, %d cores, %s, %s", r.Machine.CPU, r.Machine.Cores, r.Machine.Filesystem, r.Machine.Go)))
	for _, row := range r.Rows {
		y = row.draw(&body, y+rowGap)
	}
	fmt.Fprintf(w, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n%s</svg>\n",
		pictureWidth, y+barGap, body.String())
}

// draw draws one row below y and returns where it ends.
func (row reportedRow) draw(w io.Writer, y int) int {
	largest := 0.0
	for _, c := range row.Peers {
		largest = max(largest, c.Metrics[row.Metric].Max)
	}
	if largest == 0 {
		return y - rowGap // nothing was measured
	}
	fmt.Fprintf(w, "<text x=\"8\" y=\"%d\" font-weight=\"bold\">%s: %s</text>\n", y-8, escape.Replace(row.About), escape.Replace(row.Metric))
	scale := float64(pictureWidth-nameWidth-figureWidth) / largest
	for _, c := range row.Peers {
		s := c.Metrics[row.Metric]
		middle := y + barHeight/2
		fmt.Fprintf(w, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", nameWidth-8, y+textDrop, escape.Replace(c.label()))
		fmt.Fprintf(w, "<rect x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>\n", nameWidth, y, s.Median*scale, barHeight, colours[c.Peer])
		fmt.Fprintf(w, "<path d=\"M%.1f %d H%.1f\" stroke=\"black\"/>\n", nameWidth+s.Min*scale, middle, nameWidth+s.Max*scale)
		fmt.Fprintf(w, "<text x=\"%.1f\" y=\"%d\">%s</text>\n", nameWidth+s.Max*scale+6, y+textDrop, escape.Replace(s.String()))
		y += barHeight + barGap
	}
	return y
}
