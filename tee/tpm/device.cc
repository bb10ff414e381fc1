#include "tee/tpm/device.h"

#include <fmt/format.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tcti_device.h>

#include <algorithm>
#include <array>

#include "tee/tpm/tss.h"

namespace coffer::tpm {
namespace {

using eventlog::Alg;

constexpr std::uint16_t kRsaBits = 2048;
constexpr std::string_view kDevicePrefix = "device:";

Result<TPML_PCR_SELECTION> to_tss(const std::vector<PcrSelection>& selections) {
  TPML_PCR_SELECTION out{};
  if (selections.empty() || selections.size() > std::size(out.pcrSelections)) {
    return fail(Code::kInvalidArgument, "select PCRs: want 1 to 16 banks");
  }
  for (const auto& selection : selections) {
    TPMS_PCR_SELECTION& to = out.pcrSelections[out.count++];
    to.hash = static_cast<TPMI_ALG_HASH>(selection.bank);
    to.sizeofSelect = 3;
    for (const unsigned pcr : selection.pcrs) {
      if (pcr >= kPcrCount) return fail(Code::kInvalidArgument, "select PCRs: want 0 to 23");
      to.pcrSelect[pcr / 8] = static_cast<BYTE>(to.pcrSelect[pcr / 8] | 1U << (pcr % 8));
    }
  }
  return out;
}

TPM2B_PUBLIC ak_template() {
  TPM2B_PUBLIC in{};
  TPMT_PUBLIC& area = in.publicArea;
  area.type = TPM2_ALG_RSA;
  area.nameAlg = TPM2_ALG_SHA256;
  area.objectAttributes = TPMA_OBJECT_FIXEDTPM | TPMA_OBJECT_FIXEDPARENT |
                          TPMA_OBJECT_SENSITIVEDATAORIGIN | TPMA_OBJECT_USERWITHAUTH |
                          TPMA_OBJECT_RESTRICTED | TPMA_OBJECT_SIGN_ENCRYPT;
  area.parameters.rsaDetail.symmetric.algorithm = TPM2_ALG_NULL;
  area.parameters.rsaDetail.scheme.scheme = TPM2_ALG_RSASSA;
  area.parameters.rsaDetail.scheme.details.rsassa.hashAlg = TPM2_ALG_SHA256;
  area.parameters.rsaDetail.keyBits = kRsaBits;
  return in;
}

// Removes from `left` what `read` selected; false when that was nothing.
bool subtract(TPML_PCR_SELECTION& left, const TPML_PCR_SELECTION& read) {
  bool some = false;
  for (UINT32 i = 0; i < read.count; ++i) {
    for (UINT32 j = 0; j < left.count; ++j) {
      if (left.pcrSelections[j].hash != read.pcrSelections[i].hash) continue;
      for (std::size_t k = 0; k < 3; ++k) {
        const BYTE got = read.pcrSelections[i].pcrSelect[k];
        BYTE& want = left.pcrSelections[j].pcrSelect[k];
        some = some || (got & want) != 0;
        want = static_cast<BYTE>(want & ~got);
      }
    }
  }
  return some;
}

void collect(const TPML_PCR_SELECTION& read, const TPML_DIGEST& digests, PcrBanks& out) {
  UINT32 next = 0;
  for (UINT32 i = 0; i < read.count; ++i) {
    for (unsigned pcr = 0; pcr < kPcrCount; ++pcr) {
      if ((read.pcrSelections[i].pcrSelect[pcr / 8] >> (pcr % 8) & 1U) == 0) continue;
      if (next >= digests.count) return;
      const TPM2B_DIGEST& digest = digests.digests[next++];
      out[Alg{read.pcrSelections[i].hash}][pcr] = Bytes(digest.buffer, digest.buffer + digest.size);
    }
  }
}

}  // namespace

// Not by tctildr, which looks for a plugin at run time: a guest image has the libraries that its
// programs are linked with.
TSS2_RC Tpm::open_device(const std::string& path, State& state) {
  std::size_t size = 0;
  TSS2_RC rc = Tss2_Tcti_Device_Init(nullptr, &size, path.c_str());
  if (rc != TSS2_RC_SUCCESS) return rc;
  auto memory = std::make_unique<std::byte[]>(size);
  rc = Tss2_Tcti_Device_Init(as_tcti(memory.get()), &size, path.c_str());
  if (rc == TSS2_RC_SUCCESS) state.device = std::move(memory);
  return rc;
}

Tpm::Tpm(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tpm::Tpm(Tpm&&) noexcept = default;
Tpm& Tpm::operator=(Tpm&&) noexcept = default;
Tpm::~Tpm() = default;

Result<Tpm> Tpm::open(const std::string& tcti) {
  auto state = std::make_unique<State>();
  TSS2_RC rc = tcti.starts_with(kDevicePrefix)
                   ? open_device(tcti.substr(kDevicePrefix.size()), *state)
                   : Tss2_TctiLdr_Initialize(tcti.c_str(), &state->tcti);
  TSS2_TCTI_CONTEXT* context = state->device ? as_tcti(state->device.get()) : state->tcti;
  if (rc == TSS2_RC_SUCCESS) rc = Esys_Initialize(&state->esys, context, nullptr);
  if (rc != TSS2_RC_SUCCESS) {
    return fail(Code::kFailedPrecondition,
                fmt::format("open TPM '{}': {}", tcti, Tss2_RC_Decode(rc)));
  }
  return Tpm(std::move(state));
}

Result<Bytes> Tpm::create_ak() {
  if (state_->ak != ESYS_TR_NONE) {
    static_cast<void>(Esys_FlushContext(state_->esys, state_->ak));
    state_->ak = ESYS_TR_NONE;
  }
  const TPM2B_SENSITIVE_CREATE sensitive{};
  const TPM2B_PUBLIC in = ak_template();
  const TPM2B_DATA outside{};
  const TPML_PCR_SELECTION creation{};
  TPM2B_PUBLIC* raw = nullptr;
  const TSS2_RC rc = Esys_CreatePrimary(state_->esys, ESYS_TR_RH_ENDORSEMENT, ESYS_TR_PASSWORD,
                                        ESYS_TR_NONE, ESYS_TR_NONE, &sensitive, &in, &outside,
                                        &creation, &state_->ak, &raw, nullptr, nullptr, nullptr);
  if (rc != TSS2_RC_SUCCESS) return tss_error(rc, "create attestation key");
  const Owned<TPM2B_PUBLIC> out(raw);
  return marshal(*out);
}

Result<SignedQuote> Tpm::quote(BytesView nonce, const std::vector<PcrSelection>& selections) {
  if (state_->ak == ESYS_TR_NONE) {
    return fail(Code::kFailedPrecondition, "quote: no attestation key yet");
  }
  TPM2B_DATA data{};
  if (nonce.size() > std::min<std::size_t>(64, std::size(data.buffer))) {
    return fail(Code::kInvalidArgument,
                fmt::format("quote: nonce: got {} bytes, want <= 64", nonce.size()));
  }
  data.size = static_cast<UINT16>(nonce.size());
  std::ranges::copy(nonce, data.buffer);
  COFFER_TRY(const TPML_PCR_SELECTION pcrs, to_tss(selections));
  TPMT_SIG_SCHEME scheme{};
  scheme.scheme = TPM2_ALG_NULL;  // the key's own
  TPM2B_ATTEST* raw_attest = nullptr;
  TPMT_SIGNATURE* raw_signature = nullptr;
  const TSS2_RC rc = Esys_Quote(state_->esys, state_->ak, ESYS_TR_PASSWORD, ESYS_TR_NONE,
                                ESYS_TR_NONE, &data, &scheme, &pcrs, &raw_attest, &raw_signature);
  if (rc != TSS2_RC_SUCCESS) return tss_error(rc, "quote");
  const Owned<TPM2B_ATTEST> attest(raw_attest);
  const Owned<TPMT_SIGNATURE> signature(raw_signature);
  SignedQuote out;
  out.attest.assign(attest->attestationData, attest->attestationData + attest->size);
  out.signature.resize(sizeof(TPMT_SIGNATURE));
  std::size_t size = 0;
  const TSS2_RC packed = Tss2_MU_TPMT_SIGNATURE_Marshal(signature.get(), out.signature.data(),
                                                        out.signature.size(), &size);
  if (packed != TSS2_RC_SUCCESS) return tss_error(packed, "write signature");
  out.signature.resize(size);
  return out;
}

Result<PcrBanks> Tpm::read_pcrs(const std::vector<PcrSelection>& selections) {
  COFFER_TRY(TPML_PCR_SELECTION left, to_tss(selections));
  PcrBanks out;
  // A TPM answers with as many as fit; what it lacks it never answers.
  while (true) {
    TPML_PCR_SELECTION* raw_read = nullptr;
    TPML_DIGEST* raw_values = nullptr;
    UINT32 counter = 0;
    const TSS2_RC rc = Esys_PCR_Read(state_->esys, ESYS_TR_NONE, ESYS_TR_NONE, ESYS_TR_NONE, &left,
                                     &counter, &raw_read, &raw_values);
    if (rc != TSS2_RC_SUCCESS) return tss_error(rc, "read PCRs");
    const Owned<TPML_PCR_SELECTION> read(raw_read);
    const Owned<TPML_DIGEST> values(raw_values);
    collect(*read, *values, out);
    if (!subtract(left, *read)) return out;
  }
}

Status Tpm::extend(unsigned pcr, Alg bank, BytesView digest) {
  if (pcr >= kPcrCount || digest.size() != eventlog::alg_size(bank)) {
    return fail(Code::kInvalidArgument, fmt::format("extend PCR {}: want 0 to 23, and a {} digest",
                                                    pcr, eventlog::alg_name(bank)));
  }
  TPML_DIGEST_VALUES values{};
  values.count = 1;
  values.digests[0].hashAlg = static_cast<TPMI_ALG_HASH>(bank);
  // SAFETY: TPMU_HA is a union of byte arrays, and this digest has its algorithm's size.
  std::ranges::copy(digest, reinterpret_cast<BYTE*>(&values.digests[0].digest));
  const TSS2_RC rc = Esys_PCR_Extend(state_->esys, ESYS_TR_PCR0 + pcr, ESYS_TR_PASSWORD,
                                     ESYS_TR_NONE, ESYS_TR_NONE, &values);
  if (rc != TSS2_RC_SUCCESS) return tss_error(rc, fmt::format("extend PCR {}", pcr));
  return {};
}

}  // namespace coffer::tpm
