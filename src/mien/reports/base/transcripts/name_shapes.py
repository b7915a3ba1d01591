"""What the words before a colon look like: a name, the beginning of a sentence, or a label such as `Note`."""

from __future__ import annotations

import enum
import re
import unicodedata

__all__ = ["Shape", "is_room", "shape_of"]


class Shape(enum.Enum):
    """What some words look like."""

    NAME = "name"
    LOWER = "lower"  # a name in small letters, or a word of a sentence
    SENTENCE = "sentence"
    LABEL = "label"


_LABELS = """
breaking note notes nb warning warnings caution attention important reminder question questions answer answers example
examples hint fact facts summary conclusion conclusions result results reason reasons problem problems solution
solutions update updates agenda todo to-do topic topics chapter section step definition disclaimer spoiler p.s
fyi btw tldr url website headline hinweis hinweise achtung warnung vorsicht wichtig anmerkung bemerkung notiz
frage fragen antwort antworten beispiel beispiele fazit ergebnis lösung zusammenfassung aufgabe thema kapitel
abschnitt schritt punkt vorschlag remarque avertissement exemple réponse résumé rappel chapitre étape nota aviso
advertencia atención importante pregunta respuesta ejemplo recordatorio resumen conclusión capítulo paso avviso
attenzione domanda risposta esempio promemoria riassunto capitolo observação cuidado atenção pergunta resposta
exemplo lembrete resumo conclusão opmerking waarschuwing vraag antwoord voorbeeld uwaga ostrzeżenie pytanie
odpowiedź przykład ważne uyarı dikkat önemli soru cevap örnek примечание внимание предупреждение важно вопрос
ответ пример итог вывод замечание заметка напоминание примітка увага попередження питання відповідь приклад
важливо ملاحظة ملحوظة تنبيه تحذير مهم انتباه سؤال السؤال جواب الجواب مثال خلاصة الخلاصة توجه نکته هشدار سوال
پاسخ הערה אזהרה שאלה תשובה דוגמה חשוב नोट ध्यान चेतावनी सूचना महत्वपूर्ण प्रश्न सवाल उत्तर जवाब उदाहरण सारांश
टिप्पणी 注意 注 备注 備註 警告 提示 重要 问题 問題 回答 答案 例如
比如 例子 总结 總結 结论 結論 提醒 问 答 那么 所以 質問 答え
例 例えば まとめ 注記 備考 重要事項 참고 주의 경고 중요
질문 대답 답변 예시 요약 결론 알림 메모
"""
LABELS = frozenset(_LABELS.split())
"""Words that begin or end what stands before a colon in speech, and are part of nobody's name."""

_OPENERS = """
action actions remember tip tips option options task tasks subject title part point item number verse score
version page figure table quote ps link links email phone date time duration location source sources
meaning namely first firstly second secondly third thirdly finally lastly next then also again anyway basically
actually honestly well so and but or because however therefore yes no okay ok yeah right sure now today tomorrow
yesterday tonight thanks sorry please look listen see wait plus minus total overall edit grund tipp problem also
und aber oder ja nein genau erstens zweitens drittens zitat donc alors et mais oui non entonces pero sí quindi
então не да нет так и но например نعم لا مثلا हाँ नहीं 예 예를
"""
OPENERS = frozenset(_OPENERS.split())
"""Words that are no name alone or before small words and numbers (`Part 2`), but may be in one (`Tip O'Neill`)."""

_FUNCTION = """
the this that these those is are was were be been am i i'm we we're you you're they it it's he he's she she's my
your his her our their its what how why when where which who because if do does did will would can could should
have has had said says say think mean means let let's there here about not just very really to on by as an one
thing so but me him us them told asked das ist sind war wir ihr sie ich mein dein was wie warum wenn weil nicht
auch noch les est sont nous vous ils elles je mon que qui quoi pourquoi comment parce ne pas los las es son
nosotros ellos yo mi qué cómo porque cuando
"""
FUNCTION = frozenset(_FUNCTION.split())
"""Words of sentences; in small letters they are in nobody's name."""

_FIRST = """
the this that these those what how why when where which because if i i'm i've we we're they it's let's my your
our their here there one das mein meine dein was wie warum wenn weil ich wir pourquoi comment parce mon notre
porque cómo qué cuando como это что как почему если потому я мы мой
"""
FIRST = frozenset(_FIRST.split())
"""Words of sentences that are in no name's first place, also with a capital."""

_PARTICLES = """
de del della di da do dos das du des la le van von vom der den ter ten te zu zum zur und y e bin ibn al el ben
bat abu st san af av for für fuer from of and the at in
"""
PARTICLES = frozenset(_PARTICLES.split())
"""Small words that names, titles and firms have inside."""

_ABBREVIATED = """
prof dr mr mrs ms st sr jr ing dipl med phil rer nat habil hon rev capt lt col gen sgt sen rep gov mme mlle hr
fr frl srta sra inc ltd co corp univ mag bsc msc ph vs bzw nr no
"""
ABBREVIATED = frozenset(_ABBREVIATED.split())
HAN_SPEECH = re.compile(r"[的是说說我你您他她它这這吗嗎请請]|(?:です|ます|は|が|って|から)$|^(?:これ|それ|つまり)")
PHONE = re.compile(r"\+?[\d\s().*•x×#/-]{5,30}")
NUMBERED = re.compile(
    r"(?:speaker|sprecher(?:in)?|participant|teilnehmer(?:in)?|user|guest|gast|person|caller|voice|locuteur|intervenant|"
    r"hablante|interviewer|student|спикер|участник|发言人|發言人|講者|話者|화자|참석자|المتحدث|متحدث|वक्ता)[\s_#-]*\d+",
    re.IGNORECASE,
)
ROOM_WORD = re.compile(
    r"\b(?:room|raum|saal|salle|sala|büro|boardroom|комната|кабинет|зал)\b|会议室|會議室|회의실|غرفة|قاعة|कमरा|कक्ष",
    re.IGNORECASE,
)
SHARED_WORD = re.compile(
    r"\b(?:office|lab|studio|floor|desk|table|tisch|group|gruppe|team|class|hall|zoom)\b", re.IGNORECASE
)


def shape_of(words: str) -> Shape:
    """Return what the words before a colon look like.

    >>> shape_of("Maria del Carmen de la Cruz Garcia (she/her)")
    <Shape.NAME: 'name'>
    >>> shape_of("Important note")
    <Shape.LABEL: 'label'>
    """
    if PHONE.fullmatch(words) and sum(letter.isdigit() or letter in "*•x×" for letter in words) >= 5:
        return Shape.NAME
    if not any(letter.isalpha() or unicodedata.category(letter) == "So" for letter in words):
        return Shape.LABEL
    if words.casefold().startswith("www."):
        return Shape.SENTENCE
    outside = re.sub(r"[\[(][^\[\]()]*[\])]", " ", words)  # pronouns and firms stand in brackets
    parts = [part.strip(".,;!?'\"“”„«»") for part in outside.split()]
    bare = [part.casefold() for part in parts if part]
    if not bare:
        return Shape.NAME if words.strip() else Shape.LABEL
    rest_is_small = all(part.islower() or part[:1].isdigit() for part in parts[1:] if part)
    if bare[0] in LABELS or bare[-1] in LABELS or (bare[0] in OPENERS and rest_is_small):
        return Shape.LABEL
    if re.search(r"\d:\d", words) or len(bare) > 16 or _ends_a_sentence(outside):
        return Shape.SENTENCE
    if bare[0] in FIRST or any(part.islower() and part in FUNCTION and part not in PARTICLES for part in parts):
        return Shape.SENTENCE
    return _by_letters(words, [part for part in parts if part])


def is_room(name: str) -> bool:
    """Return whether a name is that of a room or a device that several people may share, such as `Room 3`."""
    if PHONE.fullmatch(name) or NUMBERED.fullmatch(name):
        return False
    return bool(ROOM_WORD.search(name) or (name[-1:].isdigit() and SHARED_WORD.search(name)))


def _ends_a_sentence(words: str) -> bool:
    if re.search(r"[!?…。！？।؟]", words):
        return True
    return any(
        len(match[1]) > 1 and match[1].casefold() not in ABBREVIATED and not re.fullmatch(r"(?:\w\.)+\w", match[1])
        for match in re.finditer(r"([\w.]+?)\.(?=\s)", words)
    )


def _by_letters(words: str, parts: list[str]) -> Shape:
    """Tell names by their capitals, where the script has some, and else by their length."""
    letters = [letter for letter in words if letter.isalpha()]
    cased = [letter for letter in letters if letter.lower() != letter.upper()]
    if len(cased) < len(letters) / 2:
        wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in letters)
        if wide and wide == len(letters) and (HAN_SPEECH.search(words) and not NUMBERED.fullmatch(words)):
            return Shape.SENTENCE
        return Shape.NAME if len(parts) <= 8 and (not wide or len(letters) <= 14) else Shape.SENTENCE
    small = [part for part in parts if part.islower() and part.isalpha() and part not in PARTICLES]
    if not small:
        return Shape.NAME
    if len(parts) <= 3 and (len(small) == len(parts) or (len(small) == 1 and parts[0] not in small)):
        return Shape.LOWER
    return Shape.NAME if parts[0] not in small and 3 * len(small) <= len(parts) else Shape.SENTENCE
