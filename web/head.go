package web

import "net/http"

// headAsGet has HEAD answered as GET is, so that no route has to know of it. net/http leaves out the body (RFC 9110,
// section 9.3.2), since the request that it keeps itself is still a HEAD.
func headAsGet(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead && r.Header.Get("Upgrade") == "" { // which only a GET may ask for
			get := *r
			get.Method = http.MethodGet
			r = &get
		}
		next.ServeHTTP(w, r)
	})
}
