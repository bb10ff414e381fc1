#include "attestation/kbs/init.h"

#include <fmt/format.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <memory>

#include "attestation/jose/key.h"
#include "base/fd.h"
#include "base/openssl.h"

namespace coffer::kbs {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kSecret = 0600;
constexpr unsigned kPublic = 0644;
constexpr long kLifetime = 10L * 365 * 24 * 3600;

using X509Ptr = openssl::Certificate;
using BioPtr = openssl::Bio;
using ExtensionPtr = openssl::Extension;

bool is_address(const std::string& name) {
  return name.find(':') != std::string::npos ||
         std::ranges::all_of(name, [](char c) { return (c >= '0' && c <= '9') || c == '.'; });
}

bool is_name(const std::string& name) {
  return !name.empty() && name.size() < 254 &&
         std::ranges::all_of(
             name,
             [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '.' || c == '-' || c == ':' || c == '*';
             });
}

bool add_extension(X509* certificate, int nid, const std::string& value) {
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str()));
  return extension != nullptr && X509_add_ext(certificate, extension.get(), -1) == 1;
}

std::string alternative_names(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) {
    out += fmt::format("{}{}:{}", out.empty() ? "" : ",", is_address(name) ? "IP" : "DNS", name);
  }
  return out;
}

// EXFLAG: a self-signed server certificate is its own CA here, so that clients may pin it as one.
bool fill(X509* certificate, EVP_PKEY* key, const std::vector<std::string>& names) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  const auto* text = reinterpret_cast<const unsigned char*>("coffer-kbs");
  return X509_set_version(certificate, X509_VERSION_3) == 1 &&
         ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), 1) == 1 &&
         X509_gmtime_adj(X509_getm_notBefore(certificate), -60) != nullptr &&
         X509_gmtime_adj(X509_getm_notAfter(certificate), kLifetime) != nullptr &&
         X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1 &&
         X509_set_issuer_name(certificate, subject) == 1 &&
         X509_set_pubkey(certificate, key) == 1 &&
         add_extension(certificate, NID_basic_constraints, "critical,CA:TRUE") &&
         add_extension(certificate, NID_key_usage, "critical,digitalSignature,keyCertSign") &&
         add_extension(certificate, NID_ext_key_usage, "serverAuth") &&
         add_extension(certificate, NID_subject_alt_name, alternative_names(names)) &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

Result<std::string> pem_of(X509* certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  char* data = nullptr;
  if (bio == nullptr || PEM_write_bio_X509(bio.get(), certificate) != 1) {
    return fail(Code::kInternal, "write the TLS certificate");
  }
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

bool is_shared(const std::string& store) { return !store.empty() && !store.starts_with("sqlite:"); }

std::string config_text(const InitSettings& settings) {
  return fmt::format(
      R"(# Made by `coffer-kbs init`. Every key is explained in coffer-kbs.toml of the
# distribution (configs/kbs/). Relative paths start from this file's folder.
[http_server]
sockets = ["{}"]
certificate = "tls.pem"
private_key = "tls.key"

[admin]
# Whoever holds admin.key administers. Keep it elsewhere.
public_keys = ["admin.pub.pem"]

[storage]
store = "{}"

[attestation_token]
{}
)",
      settings.socket, settings.store.empty() ? "sqlite:coffer-kbs.db" : settings.store,
      is_shared(settings.store)
          ? "# The signing key lies in the store, for every server that shares it."
          : "signer_key = \"token.key\"");
}

Status write_new(const fs::path& path, std::string_view content, unsigned mode) {
  return write_file_atomic(path, content, mode);
}

}  // namespace

Result<TlsIdentity> make_tls_identity(const std::vector<std::string>& names) {
  for (const auto& name : names) {
    if (!is_name(name)) {
      return fail(Code::kInvalidArgument,
                  fmt::format("make TLS certificate: '{}' is no host name", name));
    }
  }
  COFFER_TRY(const auto key, jose::PrivateKey::generate(jose::KeyType::kEcP256));
  const X509Ptr certificate(X509_new());
  if (certificate == nullptr || !fill(certificate.get(), key.native(), names)) {
    return fail(
        Code::kInvalidArgument,
        fmt::format("make TLS certificate for '{}': OpenSSL refuses", fmt::join(names, ",")));
  }
  TlsIdentity out;
  COFFER_TRY(out.certificate_pem, pem_of(certificate.get()));
  COFFER_TRY(out.key_pem, key.to_pem());
  return out;
}

Status init(const InitSettings& settings) {
  std::error_code error;
  fs::create_directories(settings.folder, error);
  if (error) return fail_errno(error.value(), fmt::format("make '{}'", settings.folder.string()));
  for (const char* name :
       {"admin.key", "admin.pub.pem", "tls.key", "tls.pem", "token.key", "coffer-kbs.toml"}) {
    if (fs::exists(settings.folder / name, error)) {
      return fail(Code::kAlreadyExists,
                  fmt::format("make '{}': it is there already", (settings.folder / name).string()));
    }
  }
  COFFER_TRY(const auto admin, jose::PrivateKey::generate(jose::KeyType::kEd25519));
  COFFER_TRY(const auto token, jose::PrivateKey::generate(jose::KeyType::kEcP256));
  COFFER_TRY(const auto tls, make_tls_identity(settings.names));
  COFFER_TRY(const std::string admin_pem, admin.to_pem());
  COFFER_TRY(const std::string admin_public, admin.public_key().to_pem());
  COFFER_TRY(const std::string token_pem, token.to_pem());
  COFFER_TRY_VOID(write_new(settings.folder / "admin.key", admin_pem, kSecret));
  COFFER_TRY_VOID(write_new(settings.folder / "admin.pub.pem", admin_public, kPublic));
  COFFER_TRY_VOID(write_new(settings.folder / "tls.key", tls.key_pem, kSecret));
  COFFER_TRY_VOID(write_new(settings.folder / "tls.pem", tls.certificate_pem, kPublic));
  if (!is_shared(settings.store)) {
    COFFER_TRY_VOID(write_new(settings.folder / "token.key", token_pem, kSecret));
  }
  // A database's address may have its password in it.
  return write_new(settings.folder / "coffer-kbs.toml", config_text(settings),
                   is_shared(settings.store) ? kSecret : kPublic);
}

}  // namespace coffer::kbs
