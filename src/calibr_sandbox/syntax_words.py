"""Syntax errors in the words of Shopify's parser: the token that did not fit, and where."""

from typing import Final

from graphql import GraphQLSyntaxError, Lexer, Source, TokenKind

_TOKENS: Final = {
    TokenKind.BRACE_L: "LCURLY",
    TokenKind.BRACE_R: "RCURLY",
    TokenKind.PAREN_L: "LPAREN",
    TokenKind.PAREN_R: "RPAREN",
    TokenKind.BRACKET_L: "LBRACKET",
    TokenKind.BRACKET_R: "RBRACKET",
    TokenKind.DOLLAR: "VAR_SIGN",
    TokenKind.COLON: "COLON",
    TokenKind.BANG: "BANG",
    TokenKind.EQUALS: "EQUALS",
    TokenKind.AT: "DIR_SIGN",
    TokenKind.SPREAD: "ELLIPSIS",
    TokenKind.PIPE: "PIPE",
    TokenKind.NAME: "IDENTIFIER",
    TokenKind.INT: "INT",
    TokenKind.FLOAT: "FLOAT",
    TokenKind.STRING: "STRING",
}


def syntax_words(text: str, error: GraphQLSyntaxError) -> str:
    """Name the token that did not fit; the end of the text stands where its last token does.

    Limits of our own (depth, tokens) keep their own sentence.
    """
    own = error.message.removeprefix("Syntax Error: ")
    if not own.startswith(("Expected", "Unexpected")):
        return own
    place = error.locations[0] if error.locations else None
    lexer = Lexer(Source(text))
    line, column = 1, 1
    try:
        while (token := lexer.advance()).kind is not TokenKind.EOF:
            line, column = token.line, token.column
            if place is not None and (line, column) == (place.line, place.column):
                kind, shown = _TOKENS.get(token.kind, token.kind.name), token.value or token.kind.value
                return f'syntax error, unexpected {kind} ("{shown}") at [{line}, {column}]'
    except GraphQLSyntaxError as lexical:
        return f"syntax error, {lexical.message.removeprefix('Syntax Error: ')} at [{line}, {column}]"
    return f"syntax error, unexpected end of file at [{line}, {column}]"
