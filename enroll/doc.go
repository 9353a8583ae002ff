// Package enroll gives each program its certificate and keeps it fresh: tokens,
// the CA, certificate requests, credentials on disk, renewal, and the TLS
// configurations that all connections between lanes, shops and central use.
//
// # Names
//
// A certificate names its holder by a URI, hhid://TENANT/SHOP/lane/LANE and the
// like ([Name]). Peers are verified by that name and by central's own CA, never
// by host name, so that addresses may change. All connections are TLS 1.3 with
// certificates on both sides; the name is verified again when a session is
// resumed.
//
// # Enrolment
//
// A person gets a [Token] from central and types it in at the machine. It
// carries the hash of central's CA and of its manifest key: the first contact is
// authenticated in both directions. The private key is made on the machine and
// never leaves it. It is on disk before the request is sent, and central answers
// the same key the same way again, so that a lost answer loses nothing.
//
// # Renewal
//
// [Renewer] gets a certificate for a new key at two thirds of the present one's
// life, and up to 30 days after its end. Central takes a certificate that was
// superseded for the sign of a copied disk ([ProblemSuperseded]).
package enroll
