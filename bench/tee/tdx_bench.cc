// A TDX quote with warm collateral beside its bare signature checks, and parsing alone.
#include <benchmark/benchmark.h>

#include "tee/emulator/tdx_pki.h"
#include "tee/tdx/verify.h"
#include "tee/x509_bundle.h"

namespace coffer::tdx {
namespace {

constexpr tee::UnixTime kNow = 1'780'000'000;
constexpr tee::UnixTime kDay = 86400;
constexpr std::size_t kCoordinate = 32;

struct World {
  Bytes quote;
  std::vector<Bytes> fleet;  // one more chain of certificates than are kept
  CollateralSet collateral;
  std::vector<tee::Certificate> chain;
};

Result<std::vector<Bytes>> make_fleet(const emulator::FakeIntel& intel) {
  std::vector<Bytes> fleet;
  emulator::QuoteSpec spec = intel.quote_spec();
  for (std::size_t i = 0; i <= PckChains::kMaxChains; ++i) {
    spec.pck_chain += '\n';
    COFFER_TRY(Bytes quote, intel.quote(spec));
    fleet.push_back(std::move(quote));
  }
  return fleet;
}

Result<World> make_world() {
  COFFER_TRY(const auto intel,
             emulator::FakeIntel::make(
                 {.not_before = kNow - kDay, .not_after = kNow + kDay, .platform = {}}));
  COFFER_TRY(Bytes quote, intel.quote(intel.quote_spec()));
  COFFER_TRY(std::vector<Bytes> fleet, make_fleet(intel));
  COFFER_TRY(auto input, intel.collateral());
  COFFER_TRY(auto roots, tee::parse_x509_bundle(as_bytes(intel.root_pem()), "root"));
  COFFER_TRY(auto chain, tee::parse_x509_bundle(as_bytes(intel.pck_chain_pem()), "chain"));
  return World{.quote = std::move(quote),
               .fleet = std::move(fleet),
               .collateral = CollateralSet::prepare(std::move(input),
                                                    TrustAnchors(std::move(roots.certificates))),
               .chain = std::move(chain.certificates)};
}

const World& world() {
  static const World made = make_world().value();
  return made;
}

// The platform's chain of certificates was read before; all three signatures are verified.
void verify_quote_warm(benchmark::State& state) {
  const World& w = world();
  for (auto _ : state) {
    const auto verdict = verify({.quote = w.quote, .event_log = {}}, w.collateral, {}, kNow);
    if (!verdict.verified()) state.SkipWithError("not verified");
  }
}
BENCHMARK(verify_quote_warm)->Unit(benchmark::kMicrosecond);

// Each quote is of a platform that is not at hand.
void verify_quote_new_platform(benchmark::State& state) {
  const World& w = world();
  std::size_t next = 0;
  for (auto _ : state) {
    const Bytes& quote = w.fleet[next++ % w.fleet.size()];
    const auto verdict = verify({.quote = quote, .event_log = {}}, w.collateral, {}, kNow);
    if (!verdict.verified()) state.SkipWithError("not verified");
  }
}
BENCHMARK(verify_quote_new_platform)->Unit(benchmark::kMicrosecond);

// The three signatures that stand between the warm PCK CA and the TD: the PCK certificate, the QE
// report, the quote. Keys are ready, as the attestation key's import is part of no signature.
void bare_signature_checks(benchmark::State& state) {
  const World& w = world();
  const Quote quote = parse_quote(w.quote).value();
  const auto attestation =
      tee::PublicKey::from_ec_point(tee::Curve::kP256, quote.attestation_key.first(kCoordinate),
                                    quote.attestation_key.last(kCoordinate))
          .value();
  const auto& pck = w.chain[0].public_key();
  const auto check = [](const tee::PublicKey& key, BytesView message, BytesView signature) {
    return key.verify_ecdsa(tee::HashAlgorithm::kSha256, message, signature.first(kCoordinate),
                            signature.last(kCoordinate));
  };
  for (auto _ : state) {
    const bool ok = w.chain[0].signature_by(w.chain[1].public_key()) &&
                    check(pck, quote.qe_report, quote.qe_report_signature) &&
                    check(attestation, quote.signed_bytes, quote.signature);
    if (!ok) state.SkipWithError("a signature does not verify");
  }
}
BENCHMARK(bare_signature_checks)->Unit(benchmark::kMicrosecond);

void parse_quote_only(benchmark::State& state) {
  const World& w = world();
  for (auto _ : state) benchmark::DoNotOptimize(parse_quote(w.quote));
}
BENCHMARK(parse_quote_only);

void prepare_collateral(benchmark::State& state) {
  const auto intel = emulator::FakeIntel::make(
                         {.not_before = kNow - kDay, .not_after = kNow + kDay, .platform = {}})
                         .value();
  const CollateralInput input = intel.collateral().value();
  for (auto _ : state) {
    benchmark::DoNotOptimize(CollateralSet::prepare(input, TrustAnchors()));
  }
}
BENCHMARK(prepare_collateral)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace coffer::tdx

BENCHMARK_MAIN();
