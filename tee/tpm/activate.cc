// The endorsement key, and what only its TPM can do with it.
#include <tss2/tss2_mu.h>

#include <algorithm>
#include <array>

#include "tee/tpm/tss.h"

namespace coffer::tpm {
namespace {

constexpr std::uint16_t kRsaBits = 2048;
constexpr std::uint16_t kAesBits = 128;
// PolicySecret(TPM_RH_ENDORSEMENT): "PolicyA" of the TCG EK Credential Profile 2.5, B.3.3.
constexpr std::array<std::uint8_t, 32> kPolicyA = {
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa};

// Template L-1 (B.3.3).
TPM2B_PUBLIC ek_template() {
  TPM2B_PUBLIC in{};
  TPMT_PUBLIC& area = in.publicArea;
  area.type = TPM2_ALG_RSA;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                          TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_ADMINWITHPOLICY |
                          TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_DECRYPT;
  area.authPolicy.size = static_cast<UINT16>(kPolicyA.size());
  std::ranges::copy(kPolicyA, area.authPolicy.buffer);
  TPMS_RSA_PARMS& rsa = area.parameters.rsaDetail;
  rsa.symmetric.algorithm = TPM2_ALG_AES;
  rsa.symmetric.keyBits.aes = kAesBits;
  rsa.symmetric.mode.aes = TPM2_ALG_CFB;
  rsa.scheme.scheme = TPM2_ALG_NULL;
  rsa.keyBits = kRsaBits;
  area.unique.rsa.size = kRsaBits / 8;
  return in;
}

Result<Bytes> create_ek(ESYS_CONTEXT* esys, Transient& key) {
  const TPM2B_SENSITIVE_CREATE sensitive{};
  const TPM2B_PUBLIC in = ek_template();
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION creation{};
  TPM2B_PUBLIC* raw = nullptr;
  const TSS2_RC rc = Esys_CreatePrimary(esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
                                        ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &in, &outside,
                                        &creation, key.out(), &raw, nullptr, nullptr, nullptr);
  if (rc != TSS2_RC_SUCCESS) return tss_error(rc, "create endorsement key");
  const Owned<TPM2B_PUBLIC> out(raw);
  return marshal(*out);
}

// A policy session in which PolicySecret(endorsement) holds.
Status begin_policy_a(ESYS_CONTEXT* esys, Transient& session) {
  TPMT_SYM_DEF symmetric{};
  symmetric.algorithm = TPM2_ALG_NULL;
  TSS2_RC rc = Esys_StartAuthSession(esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE,
                                     ESYS_TR_NONE, nullptr, TPM2_SE_POLICY, &symmetric,
                                     TPM2_ALG_SHA256, session.out());
  if (rc != TSS2_RC_SUCCESS) return tss_error(rc, "start policy session");
  rc =
      Esys_PolicySecret(esys, ESYS_TR_RH_ENDORSEMENT, session.get(), ESYS_TR_PASSWORD, ESYS_TR_NONE,
                        ESYS_TR_NONE, nullptr, nullptr, nullptr, 0, nullptr, nullptr);
  if (rc != TSS2_RC_SUCCESS) return tss_error(rc, "satisfy the endorsement key's policy");
  return {};
}

}  // namespace

Result<Bytes> marshal(const TPM2B_PUBLIC& value) {
  Bytes bytes(sizeof(TPM2B_PUBLIC));
  std::size_t size = 0;
  const TSS2_RC rc = Tss2_MU_TPM2B_PUBLIC_Marshal(&value, bytes.data(), bytes.size(), &size);
  if (rc != TSS2_RC_SUCCESS) return tss_error(rc, "write public area");
  bytes.resize(size);
  return bytes;
}

Result<Bytes> Tpm::endorsement_key() {
  Transient key(state_->esys);
  return create_ek(state_->esys, key);
}

Result<SecretBytes> Tpm::activate(const Credential& credential) {
  if (state_->ak == ESYS_TR_NONE) {
    return fail(Code::kFailedPrecondition, "activate credential: no attestation key yet");
  }
  TPM2B_ID_OBJECT object{};
  TPM2B_ENCRYPTED_SECRET secret{};
  std::size_t at = 0;
  TSS2_RC rc = Tss2_MU_TPM2B_ID_OBJECT_Unmarshal(credential.id_object.data(),
                                                 credential.id_object.size(), &at, &object);
  if (rc == TSS2_RC_SUCCESS) {
    at = 0;
    rc = Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal(credential.encrypted_secret.data(),
                                                  credential.encrypted_secret.size(), &at, &secret);
  }
  if (rc != TSS2_RC_SUCCESS) {
    return fail(Code::kInvalidArgument, fmt::format("read credential: {}", Tss2_RC_Decode(rc)));
  }
  Transient key(state_->esys);
  COFFER_TRY_VOID(create_ek(state_->esys, key));
  Transient session(state_->esys);
  COFFER_TRY_VOID(begin_policy_a(state_->esys, session));
  TPM2B_DIGEST* raw = nullptr;
  rc = Esys_ActivateCredential(state_->esys, state_->ak, key.get(), ESYS_TR_PASSWORD, session.get(),
                               ESYS_TR_NONE, &object, &secret, &raw);
  if (rc != TSS2_RC_SUCCESS) {
    return fail(Code::kPermissionDenied,
                fmt::format("activate credential: {}", Tss2_RC_Decode(rc)));
  }
  const Owned<TPM2B_DIGEST> digest(raw);
  return SecretBytes(Bytes(digest->buffer, digest->buffer + digest->size));
}

}  // namespace coffer::tpm
