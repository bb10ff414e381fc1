#include "tee/emulator/snp_pki.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "tee/emulator/der_writer.h"
#include "tee/sev-snp/cert_table.h"

namespace coffer::emulator {
namespace {

using tee::DerTag;

constexpr std::string_view kAmdArc = "1.3.6.1.4.1.3704.1.";
constexpr std::string_view kBasicConstraints = "2.5.29.19";
constexpr std::string_view kKeyUsage = "2.5.29.15";
constexpr std::string_view kSha384 = "2.16.840.1.101.3.4.2.2";
constexpr unsigned kRsaBits = 4096;
constexpr std::size_t kPemLine = 64;
constexpr std::uint8_t kContext0 = 0xA0;

// RSASSA-PSS with SHA-384 as AMD writes it; PKCS#1 and ECDSA for tests of a verifier.
Bytes algorithm_of(tee::SignatureScheme scheme) {
  const Bytes null = der(DerTag::kNull, {});
  switch (scheme) {
    case tee::SignatureScheme::kRsaPkcs1Sha256:
      return der_sequence({der_oid("1.2.840.113549.1.1.11"), null});
    case tee::SignatureScheme::kRsaPkcs1Sha384:
      return der_sequence({der_oid("1.2.840.113549.1.1.12"), null});
    case tee::SignatureScheme::kEcdsaSha256:
      return der_sequence({der_oid("1.2.840.10045.4.3.2")});
    case tee::SignatureScheme::kEcdsaSha384:
      return der_sequence({der_oid("1.2.840.10045.4.3.3")});
    case tee::SignatureScheme::kRsaPssSha384:
    case tee::SignatureScheme::kUnknown:
      break;
  }
  const Bytes hash = der_sequence({der_oid(kSha384), null});
  const Bytes mask = der_sequence({der_oid("1.2.840.113549.1.1.8"), hash});
  constexpr std::uint8_t kContext1 = 0xA1;
  constexpr std::uint8_t kContext2 = 0xA2;
  const Bytes parameters =
      der_sequence({der(kContext0, hash), der(kContext1, mask), der(kContext2, der_integer(48))});
  return der_sequence({der_oid("1.2.840.113549.1.1.10"), parameters});
}

Bytes name_of(const SnpCertificateSpec& spec) {
  const auto attribute = [](std::string_view oid, std::string_view value) {
    return der(DerTag::kSet,
               der_sequence({der_oid(oid), der(DerTag::kUtf8String, as_bytes(value))}));
  };
  return der_sequence({attribute("2.5.4.11", "Engineering"), attribute("2.5.4.6", "US"),
                       attribute("2.5.4.7", "Santa Clara"), attribute("2.5.4.8", "CA"),
                       attribute("2.5.4.10", spec.organization),
                       attribute("2.5.4.3", spec.common_name)});
}

Bytes extension_of(const tee::Extension& extension) {
  const Bytes critical =
      extension.critical ? der(DerTag::kBoolean, std::array<std::uint8_t, 1>{0xFF}) : Bytes{};
  return der_sequence(
      {der_oid(extension.oid), critical, der(DerTag::kOctetString, extension.value)});
}

Result<Bytes> sign_body(const Bytes& body, const Bytes& algorithm, tee::SignatureScheme scheme,
                        const tee::PrivateKey& key) {
  COFFER_TRY(const Bytes signature, key.sign(scheme, body));
  return der_sequence({body, algorithm, der_bit_string(signature)});
}

std::vector<tee::Extension> ca_extensions() {
  // CA:TRUE; keyCertSign and cRLSign.
  return {{.oid = std::string(kBasicConstraints),
           .critical = true,
           .value = der_sequence({der(DerTag::kBoolean, std::array<std::uint8_t, 1>{0xFF})})},
          {.oid = std::string(kKeyUsage),
           .critical = true,
           .value = der(DerTag::kBitString, std::array<std::uint8_t, 2>{0x01, 0x06})}};
}

std::vector<tee::Extension> leaf_extensions(const SnpPlatform& platform, snp::LeafKind kind) {
  std::vector<tee::Extension> out;
  const auto add = [&](std::string_view suffix, Bytes value) {
    out.push_back({.oid = fmt::format("{}{}", kAmdArc, suffix), .value = std::move(value)});
  };
  const bool turin = platform.product == snp::Product::kTurin;
  const std::string_view name = snp::product_name(platform.product);
  const bool stepping = platform.product == snp::Product::kMilan && kind == snp::LeafKind::kVcek;
  const std::string product = fmt::format("{}{}", name, stepping ? "-B0" : "");
  add("1", der_integer(turin ? 1 : 0));
  add("2", der(DerTag::kIa5String, as_bytes(product)));
  add("3.1", der_integer(platform.tcb.boot_loader));
  add("3.2", der_integer(platform.tcb.tee));
  add("3.3", der_integer(platform.tcb.snp));
  for (const auto* reserved : {"3.5", "3.6", "3.7"}) add(reserved, der_integer(0));
  add("3.8", der_integer(platform.tcb.microcode));
  add(turin ? "3.9" : "3.4", der_integer(platform.tcb.fmc.value_or(0)));
  if (kind == snp::LeafKind::kVcek) {
    add("4", platform.chip_id);
  } else {
    add("5", der(DerTag::kIa5String, as_bytes(platform.csp_id)));
  }
  return out;
}

void put_scalar(snp::Octets<72>& field, BytesView big_endian) {
  field.fill(0);
  std::ranges::reverse_copy(big_endian, field.begin());
}

Result<std::string> string_at(const nlohmann::json& object, std::string_view key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_string()) {
    return fail(Code::kInvalidArgument, fmt::format("load PKI: '{}': missing or no string", key));
  }
  return at->get<std::string>();
}

Result<std::int64_t> integer_at(const nlohmann::json& object, std::string_view key) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_number_integer()) {
    return fail(Code::kInvalidArgument, fmt::format("load PKI: '{}': missing or no number", key));
  }
  return at->get<std::int64_t>();
}

Result<FakeAmdSpec> spec_of(const nlohmann::json& object) {
  FakeAmdSpec out;
  COFFER_TRY(out.not_before, integer_at(object, "not_before"));
  COFFER_TRY(out.not_after, integer_at(object, "not_after"));
  COFFER_TRY(out.organization, string_at(object, "organization"));
  COFFER_TRY(const std::string product, string_at(object, "product"));
  const auto known = snp::product_by_name(product);
  if (!known) {
    return fail(Code::kInvalidArgument, fmt::format("load PKI: product '{}': unknown", product));
  }
  out.platform.product = *known;
  COFFER_TRY(const std::string tcb_hex, string_at(object, "tcb"));
  COFFER_TRY(const Bytes tcb, from_hex(tcb_hex));
  snp::TcbBytes octets{};
  if (tcb.size() != octets.size())
    return fail(Code::kInvalidArgument, "load PKI: 'tcb': not 8 bytes");
  std::ranges::copy(tcb, octets.begin());
  out.platform.tcb = snp::decode_tcb(octets, snp::tcb_layout(*known));
  COFFER_TRY(const std::string chip_id, string_at(object, "chip_id"));
  COFFER_TRY(out.platform.chip_id, from_hex(chip_id));
  COFFER_TRY(out.platform.csp_id, string_at(object, "csp_id"));
  return out;
}

}  // namespace

Result<Bytes> make_snp_certificate(const SnpCertificateSpec& spec, const tee::PublicKey& key,
                                   const SnpCertificateSpec& issuer,
                                   const tee::PrivateKey& issuer_key) {
  constexpr std::uint8_t kContext3 = 0xA3;
  const Bytes algorithm = algorithm_of(spec.scheme);
  Bytes extensions;
  for (const auto& extension : spec.extensions) {
    extensions = der_join({extensions, extension_of(extension)});
  }
  const Bytes tagged = der(kContext3, der(DerTag::kSequence, extensions));
  const Bytes body = der_sequence(
      {der(kContext0, der_integer(2)), der_integer(spec.serial), algorithm, name_of(issuer),
       der_sequence({der_time(spec.not_before), der_time(spec.not_after)}), name_of(spec),
       key.spki(), spec.extensions.empty() ? Bytes{} : tagged});
  return sign_body(body, algorithm, spec.scheme, issuer_key);
}

std::string pem_certificate(BytesView der_bytes) {
  const std::string base64 = to_base64(der_bytes);
  std::string out = "-----BEGIN CERTIFICATE-----\n";
  for (std::size_t at = 0; at < base64.size(); at += kPemLine) {
    out += base64.substr(at, kPemLine) + "\n";
  }
  return out + "-----END CERTIFICATE-----\n";
}

SnpCertificateSpec FakeAmd::ark_spec() const {
  return {.common_name = fmt::format("ARK-{}", snp::product_name(spec_.platform.product)),
          .organization = spec_.organization,
          .serial = 0x10000,
          .not_before = spec_.not_before,
          .not_after = spec_.not_after,
          .extensions = ca_extensions()};
}

SnpCertificateSpec FakeAmd::ask_spec() const {
  SnpCertificateSpec out = ark_spec();
  out.common_name = fmt::format("SEV-{}", snp::product_name(spec_.platform.product));
  out.serial = 0x10001;
  return out;
}

SnpCertificateSpec FakeAmd::asvk_spec() const {
  SnpCertificateSpec out = ark_spec();
  out.common_name = fmt::format("SEV-VLEK-{}", snp::product_name(spec_.platform.product));
  out.serial = 0x10101;
  return out;
}

SnpCertificateSpec FakeAmd::leaf_spec(snp::LeafKind kind) const {
  return {.common_name = kind == snp::LeafKind::kVcek ? "SEV-VCEK" : "SEV-VLEK",
          .organization = spec_.organization,
          .serial = 0,
          .not_before = spec_.not_before,
          .not_after = spec_.not_after,
          .extensions = leaf_extensions(spec_.platform, kind)};
}

Status FakeAmd::issue() {
  const auto& leaf = leaf_key_.public_key();
  const auto& intermediate = intermediate_key_.public_key();
  COFFER_TRY(ark_, make_snp_certificate(ark_spec(), ark_key_.public_key(), ark_spec(), ark_key_));
  COFFER_TRY(ask_, make_snp_certificate(ask_spec(), intermediate, ark_spec(), ark_key_));
  COFFER_TRY(asvk_, make_snp_certificate(asvk_spec(), intermediate, ark_spec(), ark_key_));
  COFFER_TRY(vcek_, make_snp_certificate(leaf_spec(snp::LeafKind::kVcek), leaf, ask_spec(),
                                         intermediate_key_));
  COFFER_TRY(vlek_, make_snp_certificate(leaf_spec(snp::LeafKind::kVlek), leaf, asvk_spec(),
                                         intermediate_key_));
  return {};
}

Result<FakeAmd> FakeAmd::make(const FakeAmdSpec& spec) {
  COFFER_TRY(tee::PrivateKey ark, tee::PrivateKey::generate_rsa(kRsaBits));
  COFFER_TRY(tee::PrivateKey intermediate, tee::PrivateKey::generate_rsa(kRsaBits));
  COFFER_TRY(tee::PrivateKey leaf, tee::PrivateKey::generate_ec(tee::Curve::kP384));
  FakeAmd out(spec, std::move(ark), std::move(intermediate), std::move(leaf));
  COFFER_TRY_VOID(out.issue());
  return out;
}

Result<std::string> FakeAmd::save() const {
  COFFER_TRY(const std::string ark, ark_key_.to_pem());
  COFFER_TRY(const std::string intermediate, intermediate_key_.to_pem());
  COFFER_TRY(const std::string leaf, leaf_key_.to_pem());
  const auto layout = snp::tcb_layout(spec_.platform.product);
  const nlohmann::json out{{"product", snp::product_name(spec_.platform.product)},
                           {"organization", spec_.organization},
                           {"not_before", spec_.not_before},
                           {"not_after", spec_.not_after},
                           {"tcb", to_hex(snp::encode_tcb(spec_.platform.tcb, layout))},
                           {"chip_id", to_hex(spec_.platform.chip_id)},
                           {"csp_id", spec_.platform.csp_id},
                           {"ark_key", ark},
                           {"intermediate_key", intermediate},
                           {"leaf_key", leaf},
                           {"ark", pem_certificate(ark_)},
                           {"ask", pem_certificate(ask_)},
                           {"asvk", pem_certificate(asvk_)},
                           {"vcek", pem_certificate(vcek_)},
                           {"vlek", pem_certificate(vlek_)}};
  return out.dump(1);
}

Result<FakeAmd> FakeAmd::load(std::string_view text) {
  COFFER_TRY(const nlohmann::json object, parse_json(text, "emulator PKI"));
  COFFER_TRY(FakeAmdSpec spec, spec_of(object));
  const auto key = [&](std::string_view name) -> Result<tee::PrivateKey> {
    COFFER_TRY(const std::string pem, string_at(object, name));
    return tee::PrivateKey::from_pem(pem);
  };
  COFFER_TRY(tee::PrivateKey ark, key("ark_key"));
  COFFER_TRY(tee::PrivateKey intermediate, key("intermediate_key"));
  COFFER_TRY(tee::PrivateKey leaf, key("leaf_key"));
  FakeAmd out(std::move(spec), std::move(ark), std::move(intermediate), std::move(leaf));
  // The certificates are the saved ones: a new signature would give the root another fingerprint.
  const auto certificate = [&](std::string_view name, Bytes& der_bytes) -> Status {
    COFFER_TRY(const std::string pem, string_at(object, name));
    constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
    constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
    const auto begin = pem.find(kBegin);
    const auto end = pem.find(kEnd);
    if (begin == std::string::npos || end == std::string::npos || end < begin) {
      return fail(Code::kInvalidArgument, fmt::format("load PKI: '{}': no PEM", name));
    }
    std::string base64 = pem.substr(begin + kBegin.size(), end - begin - kBegin.size());
    std::erase(base64, '\n');
    COFFER_TRY(der_bytes, from_base64(base64));
    return {};
  };
  COFFER_TRY_VOID(certificate("ark", out.ark_));
  COFFER_TRY_VOID(certificate("ask", out.ask_));
  COFFER_TRY_VOID(certificate("asvk", out.asvk_));
  COFFER_TRY_VOID(certificate("vcek", out.vcek_));
  COFFER_TRY_VOID(certificate("vlek", out.vlek_));
  return out;
}

Bytes FakeAmd::certificate_table() const {
  const auto entry = [](snp::CertKind kind, const Bytes& data) {
    return snp::CertTableEntry{.kind = kind, .guid = snp::cert_guid(kind), .data = data};
  };
  return snp::encode_cert_table({entry(snp::CertKind::kVcek, vcek_),
                                 entry(snp::CertKind::kAsk, ask_),
                                 entry(snp::CertKind::kArk, ark_)});
}

Result<Bytes> FakeAmd::crl(const SnpCrlSpec& spec) const {
  const Bytes algorithm = algorithm_of(tee::SignatureScheme::kRsaPssSha384);
  Bytes revoked;
  for (const std::uint64_t serial : spec.revoked) {
    revoked = der_join({revoked, der_sequence({der_integer(serial), der_time(spec.this_update)})});
  }
  const Bytes body = der_sequence({der_integer(1), algorithm, name_of(ark_spec()),
                                   der_time(spec.this_update), der_time(spec.next_update),
                                   revoked.empty() ? Bytes{} : der(DerTag::kSequence, revoked)});
  return sign_body(body, algorithm, tee::SignatureScheme::kRsaPssSha384, ark_key_);
}

snp::Report FakeAmd::report(std::uint32_t version) const {
  const SnpPlatform& platform = spec_.platform;
  snp::Report out;
  out.version = version;
  out.policy.raw = 0x30000;
  out.signature_algo = 1;
  out.platform_info.raw = 0x25;
  out.report_id.fill(0x1D);
  out.report_id_ma.fill(0xFF);
  std::ranges::copy(platform.chip_id, out.chip_id.begin());
  const auto tcb = snp::encode_tcb(platform.tcb, snp::tcb_layout(platform.product));
  out.current_tcb = out.reported_tcb = out.committed_tcb = out.launch_tcb = tcb;
  out.current_version = out.committed_version = {.build = 29, .minor = 55, .major = 1};
  if (out.has_cpuid()) {
    const bool zen5 = platform.product == snp::Product::kTurin;
    const bool genoa = platform.product == snp::Product::kGenoa;
    out.cpuid = {.family = static_cast<std::uint8_t>(zen5 ? 0x1A : 0x19),
                 .model = static_cast<std::uint8_t>(zen5 ? 0x02 : (genoa ? 0x11 : 0x01)),
                 .stepping = 1};
  }
  return out;
}

Result<Bytes> FakeAmd::sign(const snp::Report& report) const {
  snp::Report out = report;
  const auto unsigned_bytes = snp::encode_report(out);
  COFFER_TRY(const tee::EcdsaSignature signature,
             leaf_key_.sign_ecdsa(tee::HashAlgorithm::kSha384,
                                  BytesView(unsigned_bytes).first(snp::kSignedSize)));
  put_scalar(out.signature_r, signature.r);
  put_scalar(out.signature_s, signature.s);
  const auto bytes = snp::encode_report(out);
  return Bytes(bytes.begin(), bytes.end());
}

}  // namespace coffer::emulator
