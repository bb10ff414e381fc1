#include "tee/emulator/tpm_pki.h"

#include <fmt/format.h>
#include <sys/random.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "tee/emulator/der_writer.h"
#include "tee/emulator/snp_pki.h"

namespace coffer::emulator {
namespace {

using tee::DerTag;

constexpr std::string_view kRootName = "Emulated TPM Root";
constexpr std::string_view kKeyName = "Emulated TPM Attestation Key";

// basicConstraints and keyUsage, critical both: a CA that signs certificates, or a key that signs.
std::vector<tee::Extension> extensions_of(bool ca) {
  const Bytes yes = der(DerTag::kBoolean, std::array<std::uint8_t, 1>{0xFF});
  const auto usage = ca ? std::array<std::uint8_t, 2>{0x02, 0x04}   // keyCertSign
                        : std::array<std::uint8_t, 2>{0x07, 0x80};  // digitalSignature
  return {
      {.oid = "2.5.29.19", .critical = true, .value = ca ? der_sequence({yes}) : der_sequence({})},
      {.oid = "2.5.29.15", .critical = true, .value = der(DerTag::kBitString, usage)}};
}

SnpCertificateSpec spec_of(std::string_view name, bool ca, tee::UnixTime from, tee::UnixTime to) {
  return {.common_name = std::string(name),
          .not_before = from,
          .not_after = to,
          .extensions = extensions_of(ca),
          .scheme = tee::SignatureScheme::kEcdsaSha256};
}

Result<std::uint64_t> draw_serial() {
  std::uint64_t serial = 0;
  if (getrandom(&serial, sizeof serial, 0) != static_cast<ssize_t>(sizeof serial)) {
    return fail_errno(errno, "draw a serial number");
  }
  return serial >> 1U;
}

std::unexpected<Error> bad(std::string_view key) {
  return fail(Code::kInvalidArgument, fmt::format("load PKI: '{}': missing or wrong", key));
}

}  // namespace

Result<FakeTpmMaker> FakeTpmMaker::make(tee::UnixTime not_before, tee::UnixTime not_after) {
  COFFER_TRY(tee::PrivateKey key, tee::PrivateKey::generate_ec(tee::Curve::kP256));
  FakeTpmMaker out(std::move(key), not_before, not_after);
  const auto root = spec_of(kRootName, true, not_before, not_after);
  COFFER_TRY(out.root_, make_snp_certificate(root, out.key_.public_key(), root, out.key_));
  return out;
}

Result<std::string> FakeTpmMaker::save() const {
  COFFER_TRY(const std::string key, key_.to_pem());
  return nlohmann::json{{"root_key", key},
                        {"root", to_base64(root_)},
                        {"not_before", not_before_},
                        {"not_after", not_after_}}
      .dump();
}

Result<FakeTpmMaker> FakeTpmMaker::load(std::string_view json) {
  COFFER_TRY(const nlohmann::json object, parse_json(json, "emulator PKI"));
  if (!object.is_object()) return bad("pki");
  for (const char* name : {"root_key", "root"}) {
    if (!object.contains(name) || !object[name].is_string()) return bad(name);
  }
  for (const char* name : {"not_before", "not_after"}) {
    if (!object.contains(name) || !object[name].is_number_integer()) return bad(name);
  }
  COFFER_TRY(tee::PrivateKey key, tee::PrivateKey::from_pem(object["root_key"].get<std::string>()));
  FakeTpmMaker out(std::move(key), object["not_before"].get<tee::UnixTime>(),
                   object["not_after"].get<tee::UnixTime>());
  COFFER_TRY(out.root_, from_base64(object["root"].get<std::string>()));
  return out;
}

std::string FakeTpmMaker::root_pem() const { return pem_certificate(root_); }

Result<Bytes> FakeTpmMaker::certify(const tee::PublicKey& attestation_key) const {
  auto spec = spec_of(kKeyName, false, not_before_, not_after_);
  COFFER_TRY(spec.serial, draw_serial());
  return make_snp_certificate(spec, attestation_key,
                              spec_of(kRootName, true, not_before_, not_after_), key_);
}

}  // namespace coffer::emulator
