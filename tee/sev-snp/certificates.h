// What AMD vouches for: the chain ARK -> ASK or ASVK -> VCEK or VLEK, and what the leaf says about
// the chip and its firmware. No I/O and no clock; the report is not looked at here.
//
// Versioned Chip Endorsement Key (VCEK) Certificate and KDS Interface Specification, AMD 57230
// rev 1.00, section 3 "VCEK and VLEK certificates", table 8 "Custom extensions".
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tee/sev-snp/product.h"
#include "tee/sev-snp/tcb.h"
#include "tee/utc_time.h"
#include "tee/verdict.h"
#include "tee/x509.h"

namespace coffer::snp {

enum class LeafKind : std::uint8_t {
  kVcek,  // per chip and TCB, names the chip
  kVlek,  // per cloud provider and TCB, names the provider
};

// The extensions below 1.3.6.1.4.1.3704.1.
struct LeafExtensions {
  std::uint64_t struct_version = 0;  // .1
  std::string product_name;          // .2, "Milan-B0" or "Genoa"
  Tcb tcb;             // .3.1 blSPL, .3.2 teeSPL, .3.3 snpSPL, .3.8 ucodeSPL, .3.9 fmcSPL
  Bytes hwid;          // .4: VCEK only; 64 octets, Turin 8
  std::string csp_id;  // .5: VLEK only

  // The part of productName before a stepping.
  [[nodiscard]] std::string_view product() const;
};

// Strict: every SPL there and a DER INTEGER in 0..255, no trailing octets, exactly one of HWID and
// CSP_ID as the kind demands. kInvalidArgument names each departure.
[[nodiscard]] Result<LeafExtensions> read_leaf_extensions(const tee::Certificate& leaf,
                                                          LeafKind kind);
// By the subject's common name, SEV-VCEK or SEV-VLEK; nothing for another certificate.
[[nodiscard]] std::optional<LeafKind> leaf_kind(const tee::Certificate& certificate);

// What a verifier was given. Only trusted_roots are believed, or AMD's pinned keys when there are
// none; everything else is the host's word.
struct TrustMaterial {
  std::vector<tee::Certificate> certificates;  // any order; leaf, intermediate, root, others
  std::vector<tee::Crl> crls;
  std::vector<tee::Certificate> trusted_roots;
};

// A leaf and what was found out about it. Keep it for as long as `valid_from`..`valid_until`
// allows: a warm chain costs one report signature only.
struct Endorsement {
  std::vector<tee::Check> checks;  // "chain.*", failed ones included
  std::optional<tee::Certificate> leaf;
  LeafKind kind = LeafKind::kVcek;
  std::optional<Product> product;            // by the issuer's name
  std::optional<LeafExtensions> extensions;  // nothing when they could not be read
  std::string root;                          // how the anchor was chosen, for claims
  bool emulated = false;
  // The time for which `checks` hold: all certificates valid and all revocation lists fresh.
  tee::UnixTime valid_from = 0, valid_until = 0;

  [[nodiscard]] bool trusted() const;
};

// Authenticates `leaf` (one of material.certificates, or any other) at `time`.
[[nodiscard]] Endorsement authenticate(const tee::Certificate& leaf, const TrustMaterial& material,
                                       bool require_crl, tee::UnixTime time);
// The endorsement of evidence that came without any leaf certificate: not trusted.
[[nodiscard]] Endorsement no_endorsement();

}  // namespace coffer::snp
