package web

import "net/http"

// headAsGet passes HEAD requests on as GET, so that routes need not handle them. net/http leaves out the body (RFC 9110,
// section 9.3.2), since its own copy of the request is still a HEAD.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && r.Header.Get("Upgrade") == "" { // only a GET may ask for an upgrade
			get := *r
			get.Method = http.MethodGet
			r = &get
		}
		next.ServeHTTP(w, r)
	})
}
