// Reference values as a Concise Reference Integrity Manifest: CBOR, perhaps signed.
//
// draft-ietf-rats-corim: unsigned-corim-map is tag 501, a signed one COSE_Sign1 (tag 18) over it;
// older drafts' tags 500 and 502 around either are read past. Of a CoRIM we read the reference
// triples of its CoMIDs (tag 506), with digests, svn, raw-value and name of a measurement; what
// else stands there is no reference value, and is passed over.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>

#include "attestation/cbor/cose.h"
#include "attestation/jose/key.h"
#include "attestation/reference_values/reference_value.h"

namespace coffer::rv {

// The class of environments whose measurements' keys are our values' names. Another vendor's get
// Trustee's: VENDOR/MODEL/KEY/NAME/SERIAL and "/digests" (a list) or "/raw_bytes", what is absent
// being left out.
inline constexpr std::string_view kCorimVendor = "Coffer";

struct Corim {
  std::string id;  // text, or a UUID in its usual form
  std::optional<tee::UnixTime> not_before, not_after;
  // JSON text by name. Ours are lists of what is allowed: hex, numbers or text.
  std::map<std::string, std::string> values;
};

struct SignedCorim {
  cbor::Sign1 message;
  // Of the signature, by its protected header.
  std::optional<tee::UnixTime> not_before, not_after;
};

struct CorimFile {
  std::optional<SignedCorim> signature;  // not verified
  Corim corim;                           // to be believed as far as the signature is
};

[[nodiscard]] bool looks_like_corim(BytesView bytes);
// kInvalidArgument names what is wrong.
[[nodiscard]] Result<CorimFile> parse_corim(BytesView bytes);

struct CorimContent {
  std::string id;
  tee::UnixTime not_before = 0, not_after = 0;
  std::string signer = "coffer";  // its name, when it is signed
};
// `values`: an object of name to a value or a list of them: whole numbers from 0, and texts, which
// become digests or bytes when they are lower-case hex. kInvalidArgument names one that has no form
// in a CoRIM. With `key` (EC P-256 or P-384) the manifest is signed.
[[nodiscard]] Result<Bytes> write_corim(const nlohmann::json& values, const CorimContent& content,
                                        const jose::PrivateKey* key);

}  // namespace coffer::rv
