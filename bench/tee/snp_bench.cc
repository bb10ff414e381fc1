// SNP report verification with a warm chain beside one bare OpenSSL P-384 verification, the launch
// digest beside the bare hashes of the same bytes, and parsing alone.
#include <benchmark/benchmark.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "tee/emulator/snp_pki.h"
#include "tee/firmware_footer.h"
#include "tee/sev-snp/cert_table.h"
#include "tee/sev-snp/launch_digest.h"
#include "tee/sev-snp/verify.h"

namespace coffer::snp {
namespace {

constexpr tee::UnixTime kNow = 1'780'000'000;
constexpr tee::UnixTime kDay = 86400;
constexpr std::size_t kMiB = std::size_t{1} << 20U;

struct World {
  Bytes report, table;
  TrustMaterial material;
  Endorsement endorsement;
};

Result<World> make_world() {
  COFFER_TRY(const auto amd,
             emulator::FakeAmd::make({.not_before = kNow - kDay, .not_after = kNow + kDay}));
  World out;
  COFFER_TRY(out.report, amd.sign(amd.report()));
  out.table = amd.certificate_table();
  COFFER_TRY(const auto vcek, tee::Certificate::from_der(amd.vcek()));
  COFFER_TRY(const auto ask, tee::Certificate::from_der(amd.ask()));
  COFFER_TRY(const auto ark, tee::Certificate::from_der(amd.ark()));
  out.material = {.certificates = {vcek, ask}, .crls = {}, .trusted_roots = {ark}};
  out.endorsement = authenticate(vcek, out.material, false, kNow);
  return out;
}

const World& world() {
  static const World made = make_world().value();
  return made;
}

void verify_report_warm(benchmark::State& state) {
  const World& w = world();
  for (auto _ : state) {
    if (!verify_endorsed(w.report, w.endorsement, {}, kNow).verified()) {
      state.SkipWithError("not verified");
    }
  }
}
BENCHMARK(verify_report_warm)->Unit(benchmark::kMicrosecond);

// The report's signature as OpenSSL wants it: DER, big-endian.
Bytes der_signature(const Report& report) {
  const std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(ECDSA_SIG_new(),
                                                                        ECDSA_SIG_free);
  ECDSA_SIG_set0(signature.get(), BN_lebin2bn(report.signature_r.data(), 72, nullptr),
                 BN_lebin2bn(report.signature_s.data(), 72, nullptr));
  Bytes out(static_cast<std::size_t>(i2d_ECDSA_SIG(signature.get(), nullptr)));
  std::uint8_t* at = out.data();
  i2d_ECDSA_SIG(signature.get(), &at);
  return out;
}

void bare_p384_verify(benchmark::State& state) {
  const World& w = world();
  const Bytes signature = der_signature(parse_report(w.report).value());
  EVP_PKEY* key = w.endorsement.leaf->public_key().native();
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  for (auto _ : state) {
    EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha384(), nullptr, key);
    if (EVP_DigestVerify(context.get(), signature.data(), signature.size(), w.report.data(),
                         kSignedSize) != 1) {
      state.SkipWithError("the signature does not verify");
    }
  }
}
BENCHMARK(bare_p384_verify)->Unit(benchmark::kMicrosecond);

void verify_report_cold(benchmark::State& state) {
  const World& w = world();
  for (auto _ : state) {
    benchmark::DoNotOptimize(verify({.report = w.report,
                                     .material = w.material,
                                     .expectations = {},
                                     .time = kNow,
                                     .product = std::nullopt}));
  }
}
BENCHMARK(verify_report_cold)->Unit(benchmark::kMicrosecond);

void parse_report_only(benchmark::State& state) {
  const World& w = world();
  for (auto _ : state) benchmark::DoNotOptimize(parse_report(w.report));
}
BENCHMARK(parse_report_only);

void parse_cert_table_only(benchmark::State& state) {
  const World& w = world();
  for (auto _ : state) benchmark::DoNotOptimize(parse_cert_table(w.table));
}
BENCHMARK(parse_cert_table_only);

void append_u32(Bytes& out, std::uint32_t value) {
  for (unsigned i = 0; i < 4; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

void append_entry(Bytes& out, std::string_view guid, std::initializer_list<std::uint32_t> values) {
  for (const auto value : values) append_u32(out, value);
  out.push_back(static_cast<std::uint8_t>(18 + 4 * values.size()));
  out.push_back(0);
  const Bytes octets = tee::uefi_guid_octets(guid);
  out.insert(out.end(), octets.begin(), octets.end());
}

// A firmware of 4 MiB with the sections that OVMF has. No two pages are alike: runs of equal pages,
// of which real images have many, are hashed once.
Bytes firmware() {
  Bytes image(4 * kMiB);
  std::uint32_t state = 1;
  for (auto& octet : image) {
    state = state * 1664525U + 1013904223U;
    octet = static_cast<std::uint8_t>(state >> 24U);
  }
  Bytes descriptor = to_bytes("ASEV");
  for (const std::uint32_t word :
       {16U + 12U * 4U, 1U, 4U, 0x800000U, 0x9000U, 1U, 0x80D000U, 0x1000U, 2U, 0x80E000U, 0x1000U,
        3U, 0x810000U, 0x1000U, 0x10U}) {
    append_u32(descriptor, word);
  }
  std::ranges::copy(descriptor, image.begin());
  Bytes table;
  append_entry(table, "00f771de-1a7e-4fcb-890e-68c77e2fb44e", {0x80B004});
  append_entry(table, "7255371f-3a3b-4b04-927b-1da6efa8d454", {0x810C00, 0x400});
  append_entry(table, "dc886566-984a-4798-a75e-5585a7bf67cc",
               {static_cast<std::uint32_t>(image.size())});
  table.push_back(static_cast<std::uint8_t>(table.size() + 18));
  table.push_back(0);
  const Bytes footer = tee::uefi_guid_octets("96b582de-1fb2-45f7-baea-a366c55a082d");
  table.insert(table.end(), footer.begin(), footer.end());
  std::ranges::copy(table, image.end() - 32 - static_cast<std::ptrdiff_t>(table.size()));
  return image;
}

struct Boot {
  Bytes firmware = snp::firmware();
  Bytes kernel = Bytes(12 * kMiB, 0x4B), initrd = Bytes(6 * kMiB, 0x49);
};

const Boot& boot() {
  static const Boot made;
  return made;
}

void launch_digest(benchmark::State& state) {
  const Boot& b = boot();
  for (auto _ : state) {
    const SnpLaunch launch{.firmware = measure_firmware(b.firmware).value(),
                           .metadata = parse_sev_metadata(b.firmware).value(),
                           .kernel = hash_kernel(b.kernel, b.initrd, "console=ttyS0")};
    const auto digest = snp_launch_digest(launch, {.count = 4, .signature = 0xA00F11});
    if (!digest) state.SkipWithError("no digest");
  }
}
BENCHMARK(launch_digest)->Unit(benchmark::kMillisecond);

void bare_hashes(benchmark::State& state) {
  const Boot& b = boot();
  for (auto _ : state) {
    benchmark::DoNotOptimize(tee::sha384(b.firmware));
    benchmark::DoNotOptimize(tee::sha256(b.kernel));
    benchmark::DoNotOptimize(tee::sha256(b.initrd));
  }
}
BENCHMARK(bare_hashes)->Unit(benchmark::kMillisecond);

// Another number of vCPUs for a launch that is known already.
void launch_digest_of_64_vcpus(benchmark::State& state) {
  const Boot& b = boot();
  const SnpLaunch launch{.firmware = measure_firmware(b.firmware).value(),
                         .metadata = parse_sev_metadata(b.firmware).value(),
                         .kernel = hash_kernel({}, {}, "")};
  for (auto _ : state) {
    benchmark::DoNotOptimize(snp_launch_digest(launch, {.count = 64, .signature = 0xA00F11}));
  }
}
BENCHMARK(launch_digest_of_64_vcpus)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace coffer::snp

BENCHMARK_MAIN();
