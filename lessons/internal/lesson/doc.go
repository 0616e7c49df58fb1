// Package lesson does what a page of the lessons tells its reader to do, and compares what comes to what the page
// shows. lessons/README.md describes the fenced blocks that it understands.
//
//	page, err := lesson.Parse("lessons/1-first-websocket/README.md", text)
//	lesson.Run(t, page, tree) // tree is a copy of the repository, where the reader's files go
//
// # Files, in reading order
//
// parse.go: a page and its blocks. steps.go: what is typed in a block, and what is to come. match.go: whether it came.
// part.go: the reader's files. ports.go and tree.go: a place for one lesson. shell.go: terminals. browser.go: Chromium. run.go: all of it, in the
// order of the page. references.go: links, anchors and lines of files.
//
// Terminals need a Unix system with bash. Nothing here is part of the server.
package lesson
