#include "cli/evidence_material.h"

#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "tee/eventlog/ccel_table.h"
#include "tee/eventlog/event_log.h"
#include "tee/eventlog/json_log.h"
#include "tee/sev-snp/cert_table.h"
#include "tee/sev-snp/certificates.h"
#include "tee/tdx/collateral.h"
#include "tee/tdx/pck_extension.h"
#include "tee/tdx/td_report.h"
#include "tee/tpm/hcl.h"
#include "tee/x509_bundle.h"

namespace coffer::cli {
namespace {

using Json = nlohmann::json;

constexpr std::uint8_t kTdReportType = 0x81;
constexpr std::uint8_t kDerSequence = 0x30;
// The first event of a crypto-agile log, up to the end of its signature.
constexpr std::size_t kLogHeadSize = 48;

void add_snp_leaf(const tee::Certificate& certificate, snp::LeafKind kind, Json& out) {
  const auto leaf = snp::read_leaf_extensions(certificate, kind);
  if (!leaf) {
    out["faults"].push_back(leaf.error().message());
    return;
  }
  out["struct_version"] = leaf->struct_version;
  out["product_name"] = leaf->product_name;
  out["tcb"] = {{"bl", leaf->tcb.boot_loader},
                {"tee", leaf->tcb.tee},
                {"snp", leaf->tcb.snp},
                {"ucode", leaf->tcb.microcode}};
  if (leaf->tcb.fmc) out["tcb"]["fmc"] = *leaf->tcb.fmc;
  if (!leaf->hwid.empty()) out["hwid"] = to_hex(leaf->hwid);
  if (!leaf->csp_id.empty()) out["csp_id"] = leaf->csp_id;
}

void add_pck(BytesView extension, Json& out) {
  const auto pck = tdx::parse_pck_extension(extension);
  if (!pck) {
    out["faults"].push_back(pck.error().message());
    return;
  }
  out["fmspc"] = to_hex(pck->fmspc);
  out["pce_id"] = to_hex(pck->pce_id);
  out["tcb_components"] = pck->components;
  out["pce_svn"] = pck->pce_svn;
  out["cpu_svn"] = to_hex(pck->cpu_svn);
  out["sgx_type"] = pck->sgx_type;
}

Json certificate_json(const tee::Certificate& certificate) {
  Json out{{"subject", certificate.subject().to_text()},
           {"common_name", certificate.subject().common_name()},
           {"issuer", certificate.issuer().to_text()},
           {"serial", to_hex(certificate.serial())},
           {"not_before", tee::format_rfc3339(certificate.not_before())},
           {"not_after", tee::format_rfc3339(certificate.not_after())},
           {"sha256", to_hex(certificate.fingerprint())}};
  if (const auto kind = snp::leaf_kind(certificate)) add_snp_leaf(certificate, *kind, out);
  const auto* sgx = certificate.extension(tdx::kSgxExtensionOid);
  if (sgx != nullptr) add_pck(sgx->value, out);
  return out;
}

Json crl_json(const tee::Crl& crl) {
  return {{"issuer", crl.issuer().to_text()},
          {"issuer_common_name", crl.issuer().common_name()},
          {"number", to_hex(crl.number())},
          {"this_update", tee::format_rfc3339(crl.this_update())},
          {"next_update",
           crl.next_update() ? Json(tee::format_rfc3339(*crl.next_update())) : Json(nullptr)},
          {"revoked", crl.size()}};
}

Json bundle_json(std::string_view kind, const tee::X509Bundle& bundle) {
  Json out{{"kind", kind}, {"certificates", Json::array()}, {"crls", Json::array()}};
  for (const auto& certificate : bundle.certificates) {
    out["certificates"].push_back(certificate_json(certificate));
  }
  for (const auto& crl : bundle.crls) out["crls"].push_back(crl_json(crl));
  return out;
}

Result<Json> show_certificates(BytesView bytes) {
  COFFER_TRY(const auto bundle, tee::parse_x509_bundle(bytes, "the file"));
  return bundle_json("certificates", bundle);
}

Result<Json> show_certificate_table(BytesView bytes) {
  constexpr std::array kNames = {"VCEK", "VLEK", "ASK", "ARK", "CRL", "platform info", "other"};
  COFFER_TRY(const auto table, snp::parse_cert_table(bytes));
  COFFER_TRY(const auto bundle, snp::certificates_of(table));
  Json out = bundle_json("certificate table", bundle);
  out["entries"] = Json::array();
  for (const auto& entry : table) {
    out["entries"].push_back(kNames[static_cast<std::size_t>(entry.kind)]);
  }
  return out;
}

Json level_json(const tdx::LevelInfo& info) {
  return {{"status", tdx::tcb_status_name(info.status)}, {"advisory_ids", info.advisory_ids}};
}

Result<Json> show_tcb_info(std::string_view text) {
  COFFER_TRY(const auto document, tdx::parse_tcb_info(text));
  const tdx::TcbInfo& info = document.value;
  Json out{{"kind", "TCB info"},
           {"id", info.id},
           {"version", info.version},
           {"fmspc", to_hex(info.fmspc)},
           {"pce_id", to_hex(info.pce_id)},
           {"issue_date", tee::format_rfc3339(info.issue_date)},
           {"next_update", tee::format_rfc3339(info.next_update)},
           {"tcb_evaluation_data_number", info.evaluation_number},
           {"modules", Json::array()},
           {"levels", Json::array()}};
  for (const auto& module : info.identities) out["modules"].push_back(module.id);
  for (const auto& level : info.levels) out["levels"].push_back(level_json(level.info));
  return out;
}

Result<Json> show_qe_identity(std::string_view text) {
  COFFER_TRY(const auto document, tdx::parse_qe_identity(text));
  const tdx::QeIdentity& identity = document.value;
  return Json{{"kind", "QE identity"},
              {"id", identity.id},
              {"version", identity.version},
              {"issue_date", tee::format_rfc3339(identity.issue_date)},
              {"next_update", tee::format_rfc3339(identity.next_update)},
              {"tcb_evaluation_data_number", identity.evaluation_number},
              {"mr_signer", to_hex(identity.mr_signer)},
              {"isv_prod_id", identity.isv_prod_id}};
}

Json event_json(const eventlog::Event& event) {
  Json out{{"register", event.index}, {"type", eventlog::event_type_name(event.type)}};
  for (const auto& digest : event.digests) {
    out["digests"][std::string(eventlog::alg_name(digest.alg))] = to_hex(digest.value);
  }
  return out;
}

Result<Json> show_log(BytesView bytes) {
  COFFER_TRY(const auto read, eventlog::read_event_log(bytes));
  const eventlog::EventLog& log = read.log;
  Json out{{"kind", "event log"},
           {"crypto_agile", log.crypto_agile},
           {"events", Json::array()},
           {"registers", Json::object()},
           {"anomalies", Json::object()}};
  for (const auto& event : log.events) out["events"].push_back(event_json(event));
  for (const auto& [number, event] : read.application) {
    out["events"][number]["name"] = event.name;
    out["events"][number]["payload"] = to_hex(event.payload);
  }
  for (const auto alg : log.algs) {
    const std::string bank(eventlog::alg_name(alg));
    const auto registers = eventlog::replay(log, alg);
    if (!registers) continue;
    for (const auto& [index, value] : *registers) {
      out["registers"][bank][fmt::to_string(index)] = to_hex(value);
    }
    out["anomalies"][bank] = eventlog::anomalies(log, alg);
  }
  return out;
}

// Which of the documents that we know: by the member that only it has.
Result<Json> show_json(BytesView bytes) {
  const std::string_view text = as_text(bytes);
  if (text.contains("\"enclaveIdentity\"")) return show_qe_identity(text);
  return text.contains("\"tcbInfo\"") ? show_tcb_info(text) : show_log(bytes);
}

Result<Json> show_ccel_table(BytesView bytes) {
  COFFER_TRY(const auto table, eventlog::parse_ccel_table(bytes));
  return Json{{"kind", "CCEL table"},
              {"cc_type", table.cc_type},
              {"cc_subtype", table.cc_subtype},
              {"log_area_length", fmt::format("{:#x}", table.log_area_length)},
              {"log_area_start", fmt::format("{:#x}", table.log_area_start)}};
}

Result<Json> show_td_report(BytesView bytes) {
  COFFER_TRY(const auto report, tdx::parse_td_report(bytes));
  const tdx::TdBody& td = report.td;
  Json out{{"kind", "TDREPORT"},
           {"report_type", report.report_type},
           {"report_data", to_hex(td.report_data)},
           {"tee_tcb_svn", to_hex(td.tee_tcb_svn)},
           {"td_attributes", to_hex(td.td_attributes)},
           {"xfam", to_hex(td.xfam)},
           {"mr_td", to_hex(td.mr_td)},
           {"mr_config_id", to_hex(td.mr_config_id)},
           {"mr_owner", to_hex(td.mr_owner)},
           {"mr_owner_config", to_hex(td.mr_owner_config)}};
  for (std::size_t i = 0; i < td.rtmr.size(); ++i) {
    out[fmt::format("rtmr_{}", i)] = to_hex(td.rtmr[i]);
  }
  return out;
}

Result<Json> show_hcl(BytesView bytes) {
  COFFER_TRY(const auto report, tpm::parse_hcl(bytes));
  return Json{{"kind", "HCL report"},
              {"hardware", report.hardware == tpm::HclHardware::kSnp ? "snp" : "tdx"},
              {"runtime_data_sha256", to_hex(report.runtime_digest)},
              {"user_data", to_hex(report.user_data)}};
}

}  // namespace

Result<Json> describe_material(BytesView bytes) {
  if (bytes.empty()) return fail(Code::kInvalidArgument, "read evidence: the file is empty");
  if (tpm::looks_like_hcl(bytes)) return show_hcl(bytes);
  if (as_text(bytes).starts_with("CCEL")) return show_ccel_table(bytes);
  if (bytes.size() == tdx::kTdReportSize && bytes[0] == kTdReportType) return show_td_report(bytes);
  if (eventlog::looks_like_json(bytes)) return show_json(bytes);
  if (as_text(bytes).substr(0, kLogHeadSize).contains("Spec ID Event")) return show_log(bytes);
  // Before the certificates: a table may hold PEM.
  if (auto table = show_certificate_table(bytes)) return table;
  if (tee::looks_like_pem(bytes) || bytes[0] == kDerSequence) return show_certificates(bytes);
  // A log of TCG 1.2 has no mark of its own.
  auto log = show_log(bytes);
  if (log && !(*log)["events"].empty()) return log;
  return fail(
      Code::kInvalidArgument,
      "read evidence: no SNP report, TDX quote, TDREPORT, TPM quote, HCL report, event log, "
      "certificate, revocation list or collateral (give --tee to see why it is not one)");
}

}  // namespace coffer::cli
