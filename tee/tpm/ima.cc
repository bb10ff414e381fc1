#include "tee/tpm/ima.h"

#include "tee/digest.h"

namespace coffer::tpm {
namespace {

constexpr unsigned kAggregated = 10;  // PCR 0 to 9

void put_field(Bytes& out, BytesView field) {
  for (unsigned i = 0; i < 4; ++i)
    out.push_back(static_cast<std::uint8_t>(field.size() >> (8 * i)));
  out.insert(out.end(), field.begin(), field.end());
}

// d-ng, n-ng, and for "ima-sig" a signature, which this entry does not have.
Bytes entry(BytesView aggregate, bool with_signature) {
  constexpr std::string_view kAlgorithm("sha256:\0", 8);
  constexpr std::string_view kName("boot_aggregate\0", 15);
  Bytes digest = to_bytes(kAlgorithm);
  digest.insert(digest.end(), aggregate.begin(), aggregate.end());
  Bytes out;
  put_field(out, digest);
  put_field(out, as_bytes(kName));
  if (with_signature) put_field(out, {});
  return out;
}

}  // namespace

bool is_ima_boot_aggregate(const PcrValues& sha256) {
  tee::Hasher aggregate(tee::HashAlgorithm::kSha256);
  for (unsigned pcr = 0; pcr < kAggregated; ++pcr) {
    const auto it = sha256.find(pcr);
    if (it == sha256.end()) return false;
    aggregate.update(it->second);
  }
  const auto found = sha256.find(kImaPcr);
  if (found == sha256.end()) return false;
  const Bytes value = aggregate.finish();
  for (const bool with_signature : {false, true}) {
    const auto digest = tee::sha256(entry(value, with_signature));
    const auto pcr = eventlog::extend(eventlog::Alg::kSha256, Bytes(digest.size()), digest);
    if (pcr && *pcr == found->second) return true;
  }
  return false;
}

}  // namespace coffer::tpm
