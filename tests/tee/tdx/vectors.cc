#include "tests/tee/tdx/vectors.h"

#include "base/fd.h"
#include "tee/x509_bundle.h"

namespace coffer::tdx {
namespace {

std::string optional_text(const nlohmann::json& files, std::initializer_list<const char*> keys) {
  for (const char* key : keys) {
    if (files.contains(key)) return vector_text(files[key].get<std::string>());
  }
  return {};
}

}  // namespace

std::string vector_text(const std::string& relative) {
  auto text = read_file(vectors_dir() / relative);
  EXPECT_TRUE(text) << text.error().to_string();
  return text.value_or("");
}

Bytes vector_bytes(const std::string& relative) { return to_bytes(vector_text(relative)); }

nlohmann::json vector_json(const std::string& relative) {
  return nlohmann::json::parse(vector_text(relative));
}

std::vector<nlohmann::json> index_entries(const std::string& kind) {
  std::vector<nlohmann::json> out;
  const nlohmann::json index = vector_json("INDEX.json");
  for (const auto& file : index["files"]) {
    if (file["kind"] == kind) out.push_back(file);
  }
  EXPECT_FALSE(out.empty()) << kind;
  return out;
}

CollateralInput vector_collateral(const nlohmann::json& files) {
  CollateralInput input;
  input.tcb_info = optional_text(files, {"tcb_info"});
  input.qe_identity = optional_text(files, {"qe_identity"});
  input.tcb_signing_chain = to_bytes(optional_text(files, {"tcb_signing_chain", "tcb_chain"}));
  input.root_ca_crl = to_bytes(optional_text(files, {"root_ca_crl", "root_crl"}));
  input.pck_crl = to_bytes(optional_text(files, {"pck_crl"}));
  input.pck_crl_issuer_chain = to_bytes(optional_text(files, {"pck_crl_issuer_chain"}));
  return input;
}

TrustAnchors vector_anchors(const std::string& relative_pem) {
  auto bundle = tee::parse_x509_bundle(vector_bytes(relative_pem), "root");
  EXPECT_TRUE(bundle) << bundle.error().to_string();
  return TrustAnchors(bundle ? std::move(bundle->certificates) : std::vector<tee::Certificate>{});
}

}  // namespace coffer::tdx
