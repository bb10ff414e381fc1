#include "tee/emulator/tdx_pki.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json.h"
#include "tee/digest.h"
#include "tee/tdx/chain.h"
#include "tee/tdx/pck_extension.h"
#include "tee/utc_time.h"

namespace coffer::emulator {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::uint64_t kRootSerial = 1;
constexpr std::uint64_t kCaSerial = 2;
constexpr std::uint64_t kTcbSerial = 3;
constexpr std::uint64_t kPckSerial = 4;
constexpr unsigned kEvaluationNumber = 1;
constexpr std::array<std::string_view, 5> kKeyNames = {"root_key", "ca_key", "tcb_key", "pck_key",
                                                       "attestation_key"};

// DER, as little of it as the SGX extension needs: everything is shorter than 64 KiB.
Bytes tlv(std::uint8_t tag, BytesView content) {
  Bytes out = {tag};
  const std::size_t size = content.size();
  if (size >= 0x100) {
    out.insert(out.end(), {0x82, static_cast<std::uint8_t>(size >> 8U)});
  } else if (size >= 0x80) {
    out.push_back(0x81);
  }
  out.push_back(static_cast<std::uint8_t>(size & 0xffU));
  out.insert(out.end(), content.begin(), content.end());
  return out;
}

Bytes join(std::initializer_list<Bytes> parts) {
  Bytes out;
  for (const auto& part : parts) out.insert(out.end(), part.begin(), part.end());
  return out;
}

// 1.2.840.113741.1.13.1, and arcs below 128 after it.
Bytes sgx_oid(std::initializer_list<std::uint8_t> arcs) {
  Bytes oid = {0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01};
  oid.insert(oid.end(), arcs);
  return tlv(0x06, oid);
}

Bytes integer(unsigned value, std::uint8_t tag = 0x02) {
  Bytes content;
  if (value >= 0x8000) content.push_back(0);
  if (value >= 0x80) content.push_back(static_cast<std::uint8_t>(value >> 8U));
  content.push_back(static_cast<std::uint8_t>(value & 0xffU));
  return tlv(tag, content);
}

Bytes member(const Bytes& oid, const Bytes& value) { return tlv(0x30, join({oid, value})); }

Bytes sgx_tcb(const TdxPlatform& platform) {
  Bytes out;
  const auto add = [&](std::uint8_t arc, const Bytes& value) {
    const Bytes item = member(sgx_oid({2, arc}), value);
    out.insert(out.end(), item.begin(), item.end());
  };
  for (std::size_t i = 0; i < platform.components.size(); ++i) {
    add(static_cast<std::uint8_t>(i + 1), integer(platform.components[i]));
  }
  add(17, integer(platform.pce_svn));
  add(18, tlv(0x04, platform.components));
  return tlv(0x30, out);
}

Json components_json(const std::array<std::uint8_t, 16>& components) {
  Json out = Json::array();
  for (const auto svn : components) out.push_back({{"svn", svn}});
  return out;
}

Json level(Json tcb, tee::UnixTime date) {
  return {
      {"tcb", std::move(tcb)}, {"tcbDate", tee::format_rfc3339(date)}, {"tcbStatus", "UpToDate"}};
}

void put(Bytes& out, std::uint64_t value, unsigned size) {
  for (unsigned i = 0; i < size; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void put(Bytes& out, BytesView bytes) { out.insert(out.end(), bytes.begin(), bytes.end()); }

Bytes quote_header(std::uint16_t version) {
  Bytes out;
  put(out, version, 2);
  put(out, tdx::kAttestationKeyEcdsaP256, 2);
  put(out, tdx::kTeeTypeTdx, 4);
  put(out, 0, 4);
  constexpr std::array<std::uint8_t, 16> kVendor = {0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
                                                    0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07};
  put(out, kVendor);
  out.resize(out.size() + 20);  // user data
  return out;
}

Bytes td_body(const QuoteSpec& spec) {
  const tdx::TdBody& td = spec.td;
  Bytes out;
  put(out, td.tee_tcb_svn);
  put(out, td.mr_seam);
  put(out, td.mr_signer_seam);
  put(out, td.seam_attributes);
  put(out, td.td_attributes);
  put(out, td.xfam);
  put(out, td.mr_td);
  put(out, td.mr_config_id);
  put(out, td.mr_owner);
  put(out, td.mr_owner_config);
  for (const auto& rtmr : td.rtmr) put(out, rtmr);
  put(out, td.report_data);
  if (spec.td15) {
    put(out, td.tee_tcb_svn_2.value_or(td.tee_tcb_svn));
    put(out, td.mr_service_td.value_or(tdx::Digest48{}));
  }
  return out;
}

Bytes qe_report(const tdx::QeReport& qe, BytesView report_data) {
  Bytes out;
  put(out, qe.cpu_svn);
  put(out, qe.misc_select);
  out.resize(48);
  put(out, qe.attributes);
  put(out, qe.mr_enclave);
  out.resize(128);
  put(out, qe.mr_signer);
  out.resize(256);
  put(out, qe.isv_prod_id, 2);
  put(out, qe.isv_svn, 2);
  out.resize(320);
  put(out, report_data);
  return out;
}

template <std::size_t N>
Status read_hex(const nlohmann::json& json, const char* key, std::array<std::uint8_t, N>& out) {
  const auto bytes = from_hex(json.value(key, ""));
  if (!bytes || bytes->size() != N) {
    return fail(Code::kInvalidArgument, fmt::format("load TDX PKI: '{}': want {} bytes", key, N));
  }
  std::ranges::copy(*bytes, out.begin());
  return {};
}

}  // namespace

Bytes FakeIntel::sgx_extension(const TdxPlatform& platform) {
  constexpr std::uint8_t kOctets = 0x04;
  return tlv(0x30, join({member(sgx_oid({1}), tlv(kOctets, platform.ppid)),
                         member(sgx_oid({2}), sgx_tcb(platform)),
                         member(sgx_oid({3}), tlv(kOctets, platform.pce_id)),
                         member(sgx_oid({4}), tlv(kOctets, platform.fmspc)),
                         member(sgx_oid({5}), integer(1, 0x0a))}));
}

FakeIntel::FakeIntel(FakeIntelSpec spec, std::array<EcKey, 5> keys)
    : spec_(std::move(spec)),
      root_key_(std::move(keys[0])),
      ca_key_(std::move(keys[1])),
      tcb_key_(std::move(keys[2])),
      pck_key_(std::move(keys[3])),
      attestation_key_(std::move(keys[4])) {}

Result<FakeIntel> FakeIntel::make(FakeIntelSpec spec) {
  COFFER_TRY(EcKey root, EcKey::generate());
  COFFER_TRY(EcKey ca, EcKey::generate());
  COFFER_TRY(EcKey tcb, EcKey::generate());
  COFFER_TRY(EcKey pck, EcKey::generate());
  COFFER_TRY(EcKey attestation, EcKey::generate());
  FakeIntel out(std::move(spec), {std::move(root), std::move(ca), std::move(tcb), std::move(pck),
                                  std::move(attestation)});
  COFFER_TRY_VOID(out.issue());
  return out;
}

Status FakeIntel::issue() {
  const CertificateSpec root = root_spec();
  COFFER_TRY(root_, make_certificate(root, root_key_, nullptr, root_key_));
  COFFER_TRY(ca_, make_certificate(ca_spec(), ca_key_, &root, root_key_));
  COFFER_TRY(tcb_signing_, make_certificate(tcb_signing_spec(), tcb_key_, &root, root_key_));
  COFFER_TRY(pck_, issue_pck(pck_spec()));
  return {};
}

CertificateSpec FakeIntel::root_spec() const {
  return {.common_name = std::string(tdx::kRootName),
          .organization = spec_.organization,
          .serial = kRootSerial,
          .not_before = spec_.not_before,
          .not_after = spec_.not_after,
          .ca = true,
          .path_length = 1,
          .extension = {}};
}

CertificateSpec FakeIntel::ca_spec() const {
  CertificateSpec spec = root_spec();
  spec.common_name = tdx::kPlatformCaName;
  spec.serial = kCaSerial;
  spec.path_length = 0;
  return spec;
}

CertificateSpec FakeIntel::tcb_signing_spec() const {
  CertificateSpec spec = root_spec();
  spec.common_name = tdx::kTcbSigningName;
  spec.serial = kTcbSerial;
  spec.ca = false;
  spec.path_length.reset();
  return spec;
}

CertificateSpec FakeIntel::pck_spec() const {
  CertificateSpec spec = tcb_signing_spec();
  spec.common_name = tdx::kPckName;
  spec.serial = kPckSerial;
  spec.extension.emplace(tdx::kSgxExtensionOid, sgx_extension(spec_.platform));
  return spec;
}

Result<Bytes> FakeIntel::issue_pck(const CertificateSpec& spec) const {
  const CertificateSpec ca = ca_spec();
  return make_certificate(spec, pck_key_, &ca, ca_key_);
}

std::string FakeIntel::pck_chain_pem() const {
  return certificate_pem(pck_) + certificate_pem(ca_) + certificate_pem(root_);
}

Result<Bytes> FakeIntel::root_crl(const std::vector<std::uint64_t>& revoked) const {
  return make_crl(
      {.this_update = spec_.not_before, .next_update = spec_.not_after, .revoked = revoked},
      root_spec(), root_key_);
}

Result<Bytes> FakeIntel::pck_crl(const std::vector<std::uint64_t>& revoked) const {
  return make_crl(
      {.this_update = spec_.not_before, .next_update = spec_.not_after, .revoked = revoked},
      ca_spec(), ca_key_);
}

std::string FakeIntel::tcb_info_value() const {
  const TdxPlatform& platform = spec_.platform;
  const std::string zeros(96, '0');
  const Json module = {{"mrsigner", zeros},
                       {"attributes", "0000000000000000"},
                       {"attributesMask", "FFFFFFFFFFFFFFFF"}};
  Json identity = {{"id", fmt::format("TDX_{:02X}", platform.tee_tcb_svn[1])}};
  identity.update(module);
  identity["tcbLevels"] =
      Json::array({level({{"isvsvn", platform.tee_tcb_svn[0]}}, spec_.not_before)});
  const Json platform_level = level({{"sgxtcbcomponents", components_json(platform.components)},
                                     {"pcesvn", platform.pce_svn},
                                     {"tdxtcbcomponents", components_json(platform.tee_tcb_svn)}},
                                    spec_.not_before);
  const Json info = {{"id", "TDX"},
                     {"version", 3},
                     {"issueDate", tee::format_rfc3339(spec_.not_before)},
                     {"nextUpdate", tee::format_rfc3339(spec_.not_after)},
                     {"fmspc", to_hex(platform.fmspc)},
                     {"pceId", to_hex(platform.pce_id)},
                     {"tcbType", 0},
                     {"tcbEvaluationDataNumber", kEvaluationNumber},
                     {"tdxModule", module},
                     {"tdxModuleIdentities", Json::array({identity})},
                     {"tcbLevels", Json::array({platform_level})}};
  return info.dump();
}

std::string FakeIntel::qe_identity_value() const {
  const QuoteSpec spec = quote_spec();
  const Json identity = {
      {"id", "TD_QE"},
      {"version", 2},
      {"issueDate", tee::format_rfc3339(spec_.not_before)},
      {"nextUpdate", tee::format_rfc3339(spec_.not_after)},
      {"tcbEvaluationDataNumber", kEvaluationNumber},
      {"miscselect", "00000000"},
      {"miscselectMask", "FFFFFFFF"},
      {"attributes", to_hex(spec.qe.attributes)},
      {"attributesMask", "FBFFFFFFFFFFFFFF0000000000000000"},
      {"mrsigner", to_hex(spec.qe.mr_signer)},
      {"isvprodid", spec.qe.isv_prod_id},
      {"tcbLevels", Json::array({level({{"isvsvn", spec.qe.isv_svn}}, spec_.not_before)})}};
  return identity.dump();
}

Result<std::string> FakeIntel::sign_document(std::string_view name, std::string_view value) const {
  COFFER_TRY(const Bytes signature, tcb_key_.sign(as_bytes(value)));
  return fmt::format(R"({{"{}":{},"signature":"{}"}})", name, value, to_hex(signature));
}

Result<tdx::CollateralInput> FakeIntel::collateral() const {
  tdx::CollateralInput out;
  COFFER_TRY(out.tcb_info, sign_document("tcbInfo", tcb_info_value()));
  COFFER_TRY(out.qe_identity, sign_document("enclaveIdentity", qe_identity_value()));
  out.tcb_signing_chain = to_bytes(certificate_pem(tcb_signing_) + certificate_pem(root_));
  COFFER_TRY(out.root_ca_crl, root_crl({}));
  COFFER_TRY(out.pck_crl, pck_crl({}));
  out.pck_crl_issuer_chain = to_bytes(certificate_pem(ca_) + certificate_pem(root_));
  return out;
}

QuoteSpec FakeIntel::quote_spec() const {
  QuoteSpec spec;
  spec.td.tee_tcb_svn = spec_.platform.tee_tcb_svn;
  spec.td.td_attributes = {0, 0, 0, 0x10};  // SEPT_VE_DISABLE
  spec.td.xfam = {0xe7, 0x02, 0x06};
  spec.qe.attributes = {0x11};  // INIT, PROVISION_KEY
  spec.qe.mr_signer = spec_.platform.qe_mr_signer;
  spec.qe.isv_prod_id = 2;
  spec.qe.isv_svn = spec_.platform.qe_isv_svn;
  spec.pck_chain = pck_chain_pem();
  return spec;
}

Result<Bytes> FakeIntel::quote(const QuoteSpec& spec) const {
  Bytes out = quote_header(spec.version);
  const Bytes body = td_body(spec);
  if (spec.version != 4) {
    put(out, spec.td15 ? 3 : 2, 2);
    put(out, body.size(), 4);
  }
  put(out, body);
  COFFER_TRY(const Bytes signature, attestation_key_.sign(out));
  COFFER_TRY(const Bytes point, attestation_key_.point());

  const auto bound = tee::sha256(join({point, spec.auth_data}));
  std::array<std::uint8_t, 64> report_data{};
  std::ranges::copy(bound, report_data.begin());
  const Bytes report = qe_report(spec.qe, spec.qe_report_data.value_or(report_data));
  COFFER_TRY(const Bytes report_signature, pck_key_.sign(report));

  Bytes certification = join({report, report_signature});
  put(certification, spec.auth_data.size(), 2);
  put(certification, spec.auth_data);
  put(certification, 5, 2);
  put(certification, spec.pck_chain.size(), 4);
  put(certification, as_bytes(spec.pck_chain));

  Bytes data = join({signature, point});
  put(data, 6, 2);
  put(data, certification.size(), 4);
  put(data, certification);
  put(out, data.size(), 4);
  put(out, data);
  return out;
}

Result<std::string> FakeIntel::save() const {
  Json out = {{"not_before", spec_.not_before},
              {"not_after", spec_.not_after},
              {"organization", spec_.organization},
              {"fmspc", to_hex(spec_.platform.fmspc)},
              {"pce_id", to_hex(spec_.platform.pce_id)},
              {"ppid", to_hex(spec_.platform.ppid)},
              {"components", to_hex(spec_.platform.components)},
              {"pce_svn", spec_.platform.pce_svn},
              {"tee_tcb_svn", to_hex(spec_.platform.tee_tcb_svn)},
              {"qe_mr_signer", to_hex(spec_.platform.qe_mr_signer)},
              {"qe_isv_svn", spec_.platform.qe_isv_svn},
              {"root", to_hex(root_)},
              {"ca", to_hex(ca_)},
              {"tcb_signing", to_hex(tcb_signing_)},
              {"pck", to_hex(pck_)}};
  const std::array<const EcKey*, 5> keys = {&root_key_, &ca_key_, &tcb_key_, &pck_key_,
                                            &attestation_key_};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    COFFER_TRY(out[std::string(kKeyNames[i])], keys[i]->to_pem());
  }
  return out.dump(2);
}

Result<FakeIntel> FakeIntel::load(std::string_view text) {
  COFFER_TRY(const nlohmann::json json, parse_json(text, "TDX PKI"));
  const auto is_text = [&](std::string_view key) {
    const auto it = json.find(std::string(key));
    return it != json.end() && it->is_string();
  };
  for (const std::string_view key :
       {"organization", "fmspc", "pce_id", "ppid", "components", "tee_tcb_svn", "qe_mr_signer",
        "root", "ca", "tcb_signing", "pck"}) {
    if (!json.is_object() || !is_text(key)) {
      return fail(Code::kInvalidArgument, fmt::format("load TDX PKI: no '{}'", key));
    }
  }
  for (const char* key : {"not_before", "not_after", "pce_svn", "qe_isv_svn"}) {
    if (!json.contains(key) || !json[key].is_number_integer()) {
      return fail(Code::kInvalidArgument, fmt::format("load TDX PKI: no '{}'", key));
    }
  }
  FakeIntelSpec spec{.not_before = json["not_before"].get<tee::UnixTime>(),
                     .not_after = json["not_after"].get<tee::UnixTime>(),
                     .platform = {},
                     .organization = json["organization"].get<std::string>()};
  COFFER_TRY_VOID(read_hex(json, "fmspc", spec.platform.fmspc));
  COFFER_TRY_VOID(read_hex(json, "pce_id", spec.platform.pce_id));
  COFFER_TRY_VOID(read_hex(json, "ppid", spec.platform.ppid));
  COFFER_TRY_VOID(read_hex(json, "components", spec.platform.components));
  COFFER_TRY_VOID(read_hex(json, "tee_tcb_svn", spec.platform.tee_tcb_svn));
  COFFER_TRY_VOID(read_hex(json, "qe_mr_signer", spec.platform.qe_mr_signer));
  spec.platform.pce_svn = json["pce_svn"].get<std::uint16_t>();
  spec.platform.qe_isv_svn = json["qe_isv_svn"].get<std::uint16_t>();
  std::vector<EcKey> keys;
  for (const std::string_view name : kKeyNames) {
    if (!is_text(name)) {
      return fail(Code::kInvalidArgument, fmt::format("load TDX PKI: no '{}'", name));
    }
    COFFER_TRY(EcKey key, EcKey::from_pem(json[std::string(name)].get<std::string>()));
    keys.push_back(std::move(key));
  }
  FakeIntel out(std::move(spec), {keys[0], keys[1], keys[2], keys[3], keys[4]});
  COFFER_TRY(out.root_, from_hex(json["root"].get<std::string>()));
  COFFER_TRY(out.ca_, from_hex(json["ca"].get<std::string>()));
  COFFER_TRY(out.tcb_signing_, from_hex(json["tcb_signing"].get<std::string>()));
  COFFER_TRY(out.pck_, from_hex(json["pck"].get<std::string>()));
  return out;
}

}  // namespace coffer::emulator
