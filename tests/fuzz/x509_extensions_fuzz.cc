// Certificates and revocation lists are the host's word. The first byte chooses how they are read;
// 2 and 3 put the rest into a leaf's extensions, so that a fuzzer need not find a whole
// certificate first.
#include <cstddef>
#include <cstdint>

#include "tee/emulator/der_writer.h"
#include "tee/sev-snp/certificates.h"
#include "tee/x509_bundle.h"

namespace coffer {
namespace {

constexpr std::uint8_t kContext0 = 0xA0;
constexpr std::uint8_t kContext3 = 0xA3;

// A certificate that nobody signed, with these octets as its extensions.
Bytes certificate_with(BytesView extensions) {
  using emulator::der;
  using emulator::der_sequence;
  const Bytes algorithm = der_sequence({emulator::der_oid("1.2.840.10045.4.3.3")});
  const Bytes name = der_sequence({der(
      tee::DerTag::kSet, der_sequence({emulator::der_oid("2.5.4.3"),
                                       der(tee::DerTag::kUtf8String, as_bytes("SEV-VCEK"))}))});
  // The generator of P-256: a point that is on its curve.
  static const Bytes kPoint = *from_hex(
      "046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c"
      "0f9e162bce33576b315ececbb6406837bf51f5");
  const Bytes key = der_sequence({der_sequence({emulator::der_oid("1.2.840.10045.2.1"),
                                                emulator::der_oid("1.2.840.10045.3.1.7")}),
                                  emulator::der_bit_string(kPoint)});
  const Bytes body =
      der_sequence({der(kContext0, emulator::der_integer(2)), emulator::der_integer(1), algorithm,
                    name, der_sequence({emulator::der_time(0), emulator::der_time(1)}), name, key,
                    der(kContext3, der(tee::DerTag::kSequence, extensions))});
  return der_sequence({body, algorithm, emulator::der_bit_string({})});
}

void read(const tee::Certificate& certificate) {
  for (const auto kind : {snp::LeafKind::kVcek, snp::LeafKind::kVlek}) {
    static_cast<void>(snp::read_leaf_extensions(certificate, kind));
  }
  static_cast<void>(certificate.subject().to_text());
  static_cast<void>(certificate.unknown_critical_extensions());
}

}  // namespace
}  // namespace coffer

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace coffer;
  if (size == 0) return 0;
  const BytesView bytes = BytesView(data, size).subspan(1);
  switch (data[0] % 4) {
    case 0:
      if (const auto bundle = tee::parse_x509_bundle(bytes, "input")) {
        for (const auto& certificate : bundle->certificates) read(certificate);
      }
      break;
    case 1:
      static_cast<void>(tee::Crl::from_der(bytes));
      break;
    default:
      if (const auto certificate = tee::Certificate::from_der(certificate_with(bytes))) {
        read(*certificate);
      }
  }
  return 0;
}
