#include "attestation/cbor/cose.h"

#include <fmt/format.h>

#include <optional>

#include "attestation/jose/jws.h"

namespace coffer::cbor {
namespace {

constexpr std::uint64_t kHeaderCrit = 2;

std::unexpected<Error> refuse(std::string_view why) {
  return fail(Code::kInvalidArgument, fmt::format("read COSE_Sign1: {}", why));
}

// -7 and -35.
std::optional<std::int64_t> algorithm_of(jose::KeyType type) {
  if (type == jose::KeyType::kEcP256) return -7;
  if (type == jose::KeyType::kEcP384) return -35;
  return std::nullopt;
}

// What is signed: section 4.4, without external data.
std::string sig_structure(BytesView protected_bytes, BytesView payload) {
  Writer out;
  out.array(4).text("Signature1").bytes(protected_bytes).bytes({}).bytes(payload);
  return std::string(as_text(out.out()));
}

}  // namespace

Result<Sign1> parse_sign1(const Value& array) {
  if (!array.is(Kind::kArray) || array.items.size() != 4) return refuse("want an array of four");
  const Value& header = array.items[0];
  const Value& unprotected = array.items[1];
  if (!header.is(Kind::kBytes)) return refuse("the protected header is no byte string");
  if (!unprotected.is(Kind::kMap)) return refuse("the unprotected header is no map");
  if (!array.items[2].is(Kind::kBytes)) return refuse("the payload is not within");
  if (!array.items[3].is(Kind::kBytes)) return refuse("the signature is no byte string");
  Sign1 out{.protected_bytes = header.bytes,
            .header = {},
            .payload = array.items[2].bytes,
            .signature = array.items[3].bytes};
  COFFER_TRY(out.header, parse(header.bytes, "the protected header"));
  if (!out.header.is(Kind::kMap)) return refuse("the protected header is no map");
  if (unprotected.find(kHeaderAlg) != nullptr) return refuse("the algorithm is not protected");
  if (out.header.find(kHeaderCrit) != nullptr) return refuse("critical header parameters");
  return out;
}

Status verify_sign1(const Sign1& message, const jose::PublicKey& key) {
  const auto want = algorithm_of(key.type());
  const Value* alg = message.header.find(kHeaderAlg);
  if (!want || alg == nullptr || !alg->is(Kind::kNegative) ||
      alg->number != static_cast<std::uint64_t>(-1 - *want)) {
    return fail(Code::kUnauthenticated,
                fmt::format("verify COSE_Sign1: its algorithm is not that of a key of {}",
                            jose::key_type_name(key.type())));
  }
  return jose::verify_message(key, sig_structure(message.protected_bytes, message.payload),
                              message.signature);
}

Result<Bytes> make_sign1(const jose::PrivateKey& key, BytesView header, std::size_t pairs,
                         BytesView payload) {
  const auto alg = algorithm_of(key.type());
  if (!alg) {
    return fail(Code::kInvalidArgument, fmt::format("sign: want a key of EC P-256 or P-384, got {}",
                                                    jose::key_type_name(key.type())));
  }
  Writer start;
  start.map(pairs + 1).number(kHeaderAlg).number(*alg);
  Bytes protected_bytes = start.out();
  protected_bytes.insert(protected_bytes.end(), header.begin(), header.end());
  COFFER_TRY(const Bytes signature,
             jose::sign_message(key, sig_structure(protected_bytes, payload)));
  Writer out;
  out.tag(kSign1Tag).array(4).bytes(protected_bytes).map(0).bytes(payload).bytes(signature);
  return out.out();
}

}  // namespace coffer::cbor
